"""What studies the rest: stories, their player, their figures. Uses every service's public doors; nothing imports it but the command line.

    stories/*.story ─► scenario (parse) ─► player ─► HTTP door, submissions topic ─► … ─► ledger ─► figures ─► report
                            └───────────────────────► engine, in the process (rehearsal, for tests) ─┘
"""
