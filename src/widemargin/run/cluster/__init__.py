"""The parameter server on Ray: its roles as actors, their storage, their start and their end.

    engine     Cluster: what the user asks for; starts a run or goes on with one
    running    Run: a run under way, watched from outside; Outcome: what it made
    plan       what all actors of a run know, kept where Ray keeps its own tables
    fleet      which actors there are, on which nodes
    host       the actor that carries a role: its threads, its clock
    compute    the second thread of a worker: the gradients
    post       messages to other actors
    folder     the storage of a run: snapshots, the term
    observer   the actor that collects events and looks after the number of workers
    private    a Ray of our own on this machine, and its end
    watchdog   ends a private Ray whose owner was killed

Only this folder imports ray, and never before a run starts.
"""
