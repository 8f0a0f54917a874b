"""The contract as frozen models: what may stand on the bus, and nothing else.

Everything that crosses a topic is described here once: values, commands, submissions, facts, ledger entries, notices. Services
meet on these shapes and never on each other's code. The JSON Schema files in `json/` are generated from the models, and
`golden/` keeps one example of each shape per version, so that a change of the wire is seen before it is shipped.
"""
