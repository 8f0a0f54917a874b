/* Kafka, as far as the protocol needs it: one partition's log and its leader, the transaction coordinator, what is under way to them.

   As Kafka 4.3 treats aiokafka's requests (InitProducerId v0, AddPartitionsToTxn v0, EndTxn v0): "transactions v1", in which one epoch
   serves many transactions, with the leader's check back at the coordinator (KIP-890). What a broker keeps in memory only is left
   out, as it is built again from the two logs; the replicas in sync are one log. test_model_against_broker.py asks a real broker
   for what matters here. Included by matcher.pml, which says the rest. */

#ifdef NO_FENCE
#define IDS 2 /* a transactional id for each process: nobody shuts anybody out */
#define ID(m) (m)
#else
#define IDS 1 /* one for the partition, whoever holds it */
#define ID(m) 0
#endif
#ifdef READ_UNCOMMITTED
#define KEEP_ABORTED 1
#else
#define KEEP_ABORTED 0
#endif

mtype = { Nothing, InitProducerId, AddPartitions, Produce, EndTxn, Ok, Refused };
mtype = { Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit };

/* ---- What survives a broker's death: the transaction log and the partition's log ---- */

typedef Transaction {
  mtype state = Empty; /* stands for CompleteAbort too: EndTxn treats both alike */
  byte epoch = 1
};
typedef Producer {
  byte epoch = 1; /* the last that was seen in a batch or a marker */
  byte number     /* of its next batch: what makes a batch sent twice be appended once */
};
typedef Entry {
  byte command;
  bit part;    /* 1: the second entry of a split answer */
  byte seq;
  byte basis;  /* the commands in memory when this was decided, a bit each */
  bit writer;
  bit open;    /* neither committed nor aborted yet */
  bit aborted
};

Transaction txn[IDS];
Producer producer[IDS];
Entry ledger[LOG];
byte high;     /* high watermark: one past the last row */
byte stable;   /* last stable offset: the first row that is open, or `high` */
byte answered; /* commands whose answer a reader of committed entries sees */

/* ---- What is under way ---- */

typedef Request {
  mtype kind = Nothing;
  byte epoch;
  byte number;
  byte command;
  bit part;
  byte seq;
  byte basis;
  bit sender
};
Request wire[2 + LATE]; /* 0, 1: what each matcher waits for; then what its sender has given up and may still come */
mtype reply[2] = Nothing;
byte given[2]; /* the epoch in a reply to InitProducerId */
byte faults = FAULTS;

byte h, i, j, k, n, c, p, s, commits; /* scratch, 0 between steps */
bool not_doubled = true, not_lost = true, not_torn = true, not_stale = true, gapless = true;

inline wipe() { h = 0; i = 0; j = 0; k = 0; n = 0; c = 0; p = 0; s = 0; commits = 0 }

/* ---- Epochs: only their order counts, so numbers that nobody holds any more are closed up ---- */

#define HELD(e) \
  (txn[0].epoch == e || producer[0].epoch == e || txn[IDS - 1].epoch == e || producer[IDS - 1].epoch == e || epoch[0] == e \
   || epoch[1] == e || given[0] == e || given[1] == e || wire[0].epoch == e || wire[1].epoch == e || wire[2].epoch == e \
   || wire[1 + LATE].epoch == e)
#define LOWER(e) e = (e > h -> e - 1 : e)

inline renumber() {
  h = (txn[0].epoch > txn[IDS - 1].epoch -> txn[0].epoch : txn[IDS - 1].epoch);
  do
  :: h == 0 -> break
  :: h > 0 && HELD(h) -> h--
  :: else ->
    for (j : 0 .. IDS - 1) { LOWER(txn[j].epoch); LOWER(producer[j].epoch) }
    for (j : 0 .. 1) { LOWER(epoch[j]); LOWER(given[j]) }
    for (j : 0 .. 1 + LATE) { LOWER(wire[j].epoch) }
    h--
  od;
  wipe()
}

/* ---- The broker: the partition's leader ---- */

/* What a reader of committed entries sees, held against what it should be. */
inline look_at_the_ledger() {
  n = 0; c = 0; p = 0; k = 0;
  do
  :: k < high && !ledger[k].open ->
    if
    :: ledger[k].aborted
    :: else ->
      n++;
      not_doubled = not_doubled && (ledger[k].command > c || (ledger[k].command == c && ledger[k].part >= p));
      not_lost = not_lost && ledger[k].command <= c;
      not_torn = not_torn && (ledger[k].command != c || ledger[k].part <= p) && (p == 0 || ledger[k].command == c);
      not_stale = not_stale && ledger[k].basis == BITS(c);
      gapless = gapless && ledger[k].seq == n;
      if
      :: ledger[k].part == LAST_PART(ledger[k].command) -> c = ledger[k].command + 1; p = 0
      :: else -> p = 1
      fi
    fi;
    k++
  :: else -> break
  od;
  stable = k;
  answered = c;
  not_torn = not_torn && p == 0;
  assert(not_doubled);
  assert(not_lost);
  assert(not_torn);
  assert(not_stale);
  assert(gapless);
  wipe()
}

/* Markers arrive: a transaction's rows become visible, or never will be. */
inline mark(t) {
  commits = txn[t].state == PrepareCommit;
  j = 0; k = 0;
  do
  :: k == high -> break
  :: k < high && ledger[k].open && ID(ledger[k].writer) == t && !commits && !KEEP_ABORTED ->
    upto[0] = (upto[0] > j -> upto[0] - 1 : upto[0]);
    upto[1] = (upto[1] > j -> upto[1] - 1 : upto[1]);
    k++
  :: else ->
    ledger[j].command = ledger[k].command; ledger[j].part = ledger[k].part; ledger[j].seq = ledger[k].seq;
    ledger[j].basis = ledger[k].basis; ledger[j].writer = ledger[k].writer; ledger[j].open = ledger[k].open;
    ledger[j].aborted = ledger[k].aborted;
    if
    :: ledger[j].open && ID(ledger[j].writer) == t -> ledger[j].open = 0; ledger[j].aborted = !commits
    :: else
    fi;
    j++; k++
  od;
  high = j;
  do
  :: j == k -> break
  :: else ->
    ledger[j].command = 0; ledger[j].part = 0; ledger[j].seq = 0; ledger[j].basis = 0; ledger[j].writer = 0; ledger[j].open = 0;
    j++
  od;
  if
  :: producer[t].epoch < txn[t].epoch -> producer[t].epoch = txn[t].epoch; producer[t].number = 0
  :: else
  fi;
  txn[t].state = (commits -> CompleteCommit : Empty);
  if
  :: commits -> printf("broker: the transaction's rows are committed\n")
  :: else -> printf("broker: the transaction is aborted\n")
  fi;
  renumber();
  look_at_the_ledger()
}

#define SEEN (producer[i].epoch == wire[s].epoch)

/* A batch at the leader: fenced by its epoch, told from its repetition by its number, and let begin a transaction here only if the
   coordinator knows of that transaction (`transaction.partition.verification.enable`). */
inline produce() {
  k = 0; n = 0; /* n: whether the transaction has rows here already */
  do
  :: k == high -> break
  :: else -> n = n || (ledger[k].open && ID(ledger[k].writer) == i); k++
  od;
  if
  :: wire[s].epoch < producer[i].epoch -> answer(Refused)
#ifndef BROKER_NO_IDEMPOTENCE
  :: SEEN && wire[s].number < producer[i].number -> answer(Ok) /* had it already */
  :: else ->
    if
    :: wire[s].number != (SEEN -> producer[i].number : 0) -> answer(Refused) /* out of order */
#else
  :: else ->
    if
    :: false
#endif
#ifndef BROKER_NO_VERIFICATION
    :: !n && (txn[i].state != Ongoing || txn[i].epoch != wire[s].epoch) -> answer(Refused)
#endif
    :: else ->
      producer[i].epoch = wire[s].epoch; producer[i].number = wire[s].number + 1;
      assert(high < LOG);
      ledger[high].command = wire[s].command; ledger[high].part = wire[s].part; ledger[high].seq = wire[s].seq;
      ledger[high].basis = wire[s].basis; ledger[high].writer = wire[s].sender; ledger[high].open = 1;
      high++;
      printf("broker: entry %d (of command %d) is appended, not visible yet\n", wire[s].seq, wire[s].command);
      answer(Ok)
    fi
  fi
}

/* ---- The broker: the transaction coordinator ---- */

#define SETTLING(t) (txn[t].state == PrepareCommit || txn[t].state == PrepareAbort) /* markers are on their way */
#define CURRENT(s) (wire[s].epoch == txn[ID(wire[s].sender)].epoch)
#define LATE_ONE(s) ((s) > 1)

/* Whether a request can be dealt with. While markers are on their way Kafka answers "concurrent transactions", and the client
   asks again: here the request waits. A late one is not asked again. */
#ifdef BROKER_EARLY_FENCE
#define CAN(s) \
  (wire[s].kind == Produce || wire[s].kind == InitProducerId \
   || (wire[s].kind != Nothing && (LATE_ONE(s) || !SETTLING(ID(wire[s].sender)) || !CURRENT(s))))
#else
#define CAN(s) \
  (wire[s].kind == Produce \
   || (wire[s].kind != Nothing && (LATE_ONE(s) || !SETTLING(ID(wire[s].sender)) || (wire[s].kind != InitProducerId && !CURRENT(s)))))
#endif

inline clear(x) {
  wire[x].kind = Nothing; wire[x].epoch = 0; wire[x].number = 0; wire[x].command = 0; wire[x].part = 0; wire[x].seq = 0;
  wire[x].basis = 0; wire[x].sender = 0
}

inline answer(what) {
  if
  :: !LATE_ONE(s) -> reply[s] = what
  :: else /* nobody waits for it */
  fi;
  clear(s)
}

inline init_producer_id() {
  if
#ifdef BROKER_EARLY_FENCE
  :: txn[i].state == Ongoing || SETTLING(i) ->
    txn[i].epoch++;
    txn[i].state = (txn[i].state == Ongoing -> PrepareAbort : txn[i].state);
    if
    :: !LATE_ONE(s) -> given[s] = txn[i].epoch
    :: else
    fi;
    answer(Ok)
#else
  :: SETTLING(i) -> clear(s) /* a late one */
  :: txn[i].state == Ongoing -> /* shuts its owner out, and has the client come back once that is settled */
    txn[i].epoch++;
    txn[i].state = PrepareAbort;
    printf("broker: a new epoch; the open transaction is to be aborted\n");
    if
    :: LATE_ONE(s) -> clear(s)
    :: else
    fi
#endif
  :: else ->
    txn[i].epoch++;
    txn[i].state = Empty;
    printf("broker: a new epoch\n");
    if
    :: !LATE_ONE(s) -> given[s] = txn[i].epoch
    :: else
    fi;
    answer(Ok)
  fi
}

inline add_partitions() {
  if
  :: !CURRENT(s) -> answer(Refused)
  :: CURRENT(s) && SETTLING(i) -> clear(s) /* a late one */
  :: else -> txn[i].state = Ongoing; answer(Ok)
  fi
}

inline end_txn() {
  if
  :: !CURRENT(s) -> printf("broker: EndTxn is refused, its epoch is over\n"); answer(Refused)
  :: CURRENT(s) && SETTLING(i) -> clear(s) /* a late one */
  :: CURRENT(s) && txn[i].state == Ongoing -> /* answered now; the markers follow */
    printf("broker: EndTxn is taken, the transaction will be committed\n");
    txn[i].state = PrepareCommit;
    answer(Ok)
  :: CURRENT(s) && txn[i].state == CompleteCommit -> answer(Ok) /* a repetition */
  :: else -> answer(Refused) /* INVALID_TXN_STATE */
  fi
}

inline handle() {
  i = ID(wire[s].sender);
  if
  :: LATE_ONE(s) -> printf("broker: a late %e of %c arrives\n", wire[s].kind, 'A' + wire[s].sender)
  :: else
  fi;
  if
  :: wire[s].kind == InitProducerId -> init_producer_id()
  :: wire[s].kind == AddPartitions -> add_partitions()
  :: wire[s].kind == Produce -> produce()
  :: wire[s].kind == EndTxn -> end_txn()
  fi;
  renumber()
}

#define UNDER_WAY (wire[0].kind != Nothing || wire[1].kind != Nothing || reply[0] != Nothing || reply[1] != Nothing)

active proctype Broker() {
end:
  do
  :: d_step { CAN(0) -> s = 0; handle() }
  :: d_step { CAN(1) -> s = 1; handle() }
  :: d_step { CAN(2) -> s = 2; handle() }
  :: d_step { SETTLING(0) -> mark(0) }
#if LATE > 1
  :: d_step { CAN(3) -> s = 3; handle() }
#endif
#if IDS > 1
  :: d_step { SETTLING(1) -> mark(1) }
#endif
  :: d_step { /* the transaction's timeout */
      faults > 0 && txn[0].state == Ongoing -> faults--; txn[0].state = PrepareAbort; txn[0].epoch++; renumber();
      printf("broker: the transaction took too long; it is to be aborted, its epoch is over\n")
    }
  :: d_step { /* killed and back: prepared ends stand in the transaction log, so markers follow */
      faults > 0 && UNDER_WAY -> faults--; for (j : 0 .. 1 + LATE) { clear(j) }
      for (j : 0 .. 1) { reply[j] = Nothing; given[j] = 0 }
      renumber(); printf("broker: killed, and back; whatever was under way is gone\n")
    }
  od
}

