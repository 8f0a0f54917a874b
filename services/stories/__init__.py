"""Stories: what happened to real people, as tables of events, played through a whole Pumasi.

files/*.story ─► scenario (parse) ─► player ─► HTTP door, submissions topic ─► … ─► ledger ─► watch, figures ─► outcome, summary
                      └────────────► rehearsal: engine and audience, in this process ─────────┘

`demo` brings a whole system up, plays, audits, takes it down; `screen` and `beat` are what one sees of it; `routes` is the plot
of story 3, and story 5 ends with `pumasi report access`. No service imports anything from here.
"""
