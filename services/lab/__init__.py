"""What studies the rest: stories, their player, their figures. Nothing imports it but the command line's own lab commands.

stories/*.story ─► scenario (parse) ─► player ─► HTTP door, submissions topic ─► … ─► ledger ─► watch, figures ─► outcome, summary
                        └────────────► rehearsal: engine and audience, in this process ───────────┘

    demo      brings a whole system up, plays, audits, takes it down; screen, beat: what who watches sees
    runs      a season (season/) or a recorded log (commandlog, recorded, replay) under several policies ─► course ─► measures
              ─► comparison ─► report/; change: what a change of policy would have altered on a recorded log
    access    the report of story 5; routes: the plot of story 3
"""
