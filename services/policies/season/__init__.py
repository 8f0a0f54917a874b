"""A generated season: what a community lives through in some weeks, out of a seed.

    parameters ─► needs (who asks) ─┐
         │     ─► gifts (who gives) ┴─► plan ─► driver ◄──► an engine, told commands and telling facts
       draws, arrivals

The plan is drawn before anything is decided, so it is the same under every policy: the same people, goals, deadlines, pledges,
payments that will fail, and days of death. Only what people do with money that has come (paying when their pledge is matched,
handing over what is paid, closing what is done) waits for the engine's facts, and the delays of these are drawn by name, not in
turn. So two policies differ by the policy alone (common random numbers).
"""
