"""The contract as frozen models: what may stand on the bus, and nothing else. What models can't say is in `CONTRACT.md`, by section.

Everything that crosses a topic is described here once: values, commands, submissions, facts, ledger entries, notices. Services
meet on these shapes and never on each other's code. "Contract, 5" in a docstring means section 5 of that file. The JSON Schema files
in `json/` are generated from the models, and `golden/` keeps one example of each shape per version, so that a change of the wire is
seen before it is shipped.
"""
