"""Deterministic simulation: the matcher as it is, in a world that is not.

Everything of Pumasi's runs here as it runs in service, down to the socket: app, tenure, recovery, journal, engine, and below them
aiokafka. What is simulated lies beyond: the connections, the broker behind them, the clock, and whoever kills, pauses, cuts and
delays. All of it follows from one number, the seed; so whatever goes wrong goes wrong again (FoundationDB's way, and TigerBeetle's).

    clock      one event loop with virtual time, whose processes can be killed or paused between any two steps
    network    connections: every request and reply takes its own time, is lost, late, or swallowed
    broker     requests → replies, what a broker forgets when it dies; with
      log          a partition: batches, markers, high watermark, last stable offset, compaction
      transactions the transaction coordinator: epochs, fencing, prepared ends, markers under way, timeouts
      group        the group coordinator: members, generations, assignments, sessions
      batches      records as they lie on disk and on the wire
    plan       what a seed decides: commands, sizes, timeouts, latencies, faults
    faults     what goes wrong, at which request
    feed       who writes the commands
    cluster    the matcher processes: started, killed, paused, stopped, started again
    checks     what must hold, asked whenever something becomes visible and at the end
    world      all of it together: one seed, from start to verdict
    variants   the real code with one safeguard removed: each must be found out
    runs       many worlds at once, in processes of their own
    __main__   many seeds and their figures, or one told step by step
"""
