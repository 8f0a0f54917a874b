/* The matcher's protocol: how one partition of the ledger is taken, read back and appended to.

   Theory. A partition has one ledger and any number of matchers that each believe it is theirs. What keeps them apart is Kafka's
   fencing: InitProducerId gives its caller a new epoch of the partition's transactional id, ends the transaction that was open, and
   from then on whatever carries an older epoch is refused. So a matcher that is fenced in, then read the ledger to its end, knows
   all that will ever have been committed before its own first commit; and what it decides on that state can be committed
   only if nobody fenced it out since. Whatever goes wrong or stays unanswered, it forgets, fences and reads anew.

   Modelled step for step, each with the function's name beside it: services/bus/produce/transaction.py (fence, transaction),
   services/matcher/ledger/journal.py (read_back, transaction), services/matcher/partition/processor.py (take, answer) and tenure.py
   (_live, _work), services/matcher/app.py (_assigned); of aiokafka, that it repeats requests in silence; of Kafka, in kafka.pml, the
   transaction coordinator and the partition's leader.

   Faults, FAULTS of them at any moments: a request lost or late (it may come after anything else, also after fencing), a reply lost,
   a broker killed and back (what was under way is gone; log and transaction log stay), a matcher killed, a transaction ended
   by its timeout, the group giving the partition to the other while the former owner is not told yet, a poll from a position left
   since. A paused matcher needs no fault of its own: any process may rest for as long as it likes.

   Asserted whenever something becomes visible to readers of committed entries:
     not_doubled, not_lost   each command has exactly one answer, in the order of commands
     gapless                 entries are numbered 1, 2, 3, ...
     not_stale               an answer was decided on exactly the answers before it
     not_torn                an answer cut into two entries is there whole, or not at all
   and claimed (PROGRESS): in the end every command is answered, provided that nobody rests for ever (weak fairness).

   Flags remove one safeguard each, where `#ifdef` stands; check.py lists them. Those named BROKER_... take away what Kafka promises
   rather than what Pumasi does.

   Abstractions, harmless for what is asserted: one partition (partitions share nothing). A dead letter is one more row of its
   transaction, as the second entry of a split answer is. Reading is one step, as nothing below the last stable offset changes. A
   checkpoint saves reading and decides nothing: it is believed only if the ledger agrees, and is read before it.
   Aborted rows leave the log: no reader of committed entries can tell. Epochs are renumbered so that only their order is kept, else
   no state space would be finite. There are no times: anything may take any time. */

#ifndef COMMANDS
#define COMMANDS 3 /* commands on the topic, 0 ... COMMANDS - 1; at most 8 */
#endif
#ifndef FAULTS
#define FAULTS 2 /* how often the world may misbehave */
#endif
#ifndef LATE
#define LATE 1 /* requests under way that their sender has given up, 1 or 2; a further one displaces another, which is lost */
#endif
#define BATCH 2 /* batch.BATCH_COMMANDS_MAX: commands answered in one transaction at most */
#define SPLIT 1 /* the command whose answer is cut into two entries, the first marked `more` */
#define LAST_PART(c) ((c) == SPLIT)
#define BITS(c) ((1 << (c)) - 1) /* commands 0 ... c - 1, a bit each */
#define LOG (COMMANDS + 5)

/* ---- What the group and the matchers believe ---- */

bit holder;    /* to whom the group gave the partition */
bit owns[2];   /* app.Matcher.tenures: who believes it */
bit ready[2];  /* Processor.ready: memory and ledger are believed to agree */
byte epoch[2]; /* of the producer at hand; 0: none */
byte upto[2];  /* Journal.read_back: the end to read to */
#ifdef OFFSETS_FROM_GROUP
byte group_offset; /* nothing of the protocol reads it, so it is kept here only */
#endif

#include "kafka.pml"

/* ---- A matcher: one partition's tenure in each of two processes ---- */

#define me (_pid - 1) /* the broker is process 0 */
#define NAME ('A' + me)

inline post(what) {
  wire[me].kind = what; wire[me].sender = me; wire[me].epoch = (what == InitProducerId -> 0 : epoch[me]);
  if
  :: what == Produce ->
    wire[me].number = number; wire[me].command = at; wire[me].part = part; wire[me].seq = said + 1; wire[me].basis = knows
  :: else
  fi
}

inline copy(x) {
  wire[x].kind = wire[me].kind; wire[x].epoch = wire[me].epoch; wire[x].number = wire[me].number;
  wire[x].command = wire[me].command; wire[x].part = wire[me].part; wire[x].seq = wire[me].seq; wire[x].basis = wire[me].basis;
  wire[x].sender = wire[me].sender
}

/* No answer will be heard any more; what was asked may come late, or never. */
inline give_up() {
  if
  :: wire[me].kind != Nothing -> printf("%c: its %e is lost\n", NAME, wire[me].kind)
  :: wire[me].kind != Nothing -> copy(2); printf("%c: its %e is under way, and will be late\n", NAME, wire[me].kind)
#if LATE > 1
  :: wire[me].kind != Nothing -> copy(3); printf("%c: its %e is under way, and will be late\n", NAME, wire[me].kind)
#endif
  :: reply[me] != Nothing -> printf("%c: the reply to it is lost\n", NAME)
  :: wire[me].kind == Nothing && reply[me] == Nothing
  fi;
  clear(me); reply[me] = Nothing; given[me] = 0
}

inline let_go() {
  ready[me] = 0; epoch[me] = 0; upto[me] = 0; silent = 0; number = 0; to = 0; at = 0; part = 0; said = 0; knows = 0; renumber()
}

inline forget() { next = 0; seq = 0; basis = 0; let_go() }

/* One request of a transaction, as aiokafka's sender makes it: repeated in silence for as long as nothing is heard, unless the
   transaction's own time is over first. */
#ifdef SEND_NOT_AWAITED
#define OVERLOOKED(what) (what == Produce)
#else
#define OVERLOOKED(what) false
#endif
inline exchange(what) {
  atomic { post(what) };
  do
  :: d_step { reply[me] == Ok -> reply[me] = Nothing }; break
  :: d_step { reply[me] == Refused && !OVERLOOKED(what) -> reply[me] = Nothing }; goto failed
  :: d_step { reply[me] == Refused && OVERLOOKED(what) -> reply[me] = Nothing }; break
  :: atomic {
      if
      :: wire[me].kind == Nothing && reply[me] == Nothing /* it went down with the broker */
      :: faults > 0 && (wire[me].kind != Nothing || reply[me] != Nothing) -> faults--; give_up()
      fi;
      if
      :: d_step { silent = silent || what == EndTxn; post(what); printf("%c: asks again\n", NAME) }
      :: OVERLOOKED(what) -> printf("%c: overlooks it\n", NAME); break
      :: !OVERLOOKED(what) -> printf("%c: gives up\n", NAME); goto failed
      fi
    }
  :: atomic { faults > 0 -> faults--; give_up(); goto killed }
  od
}

/* FencedWriter.transaction: an EndTxn that went unanswered may still come, and would end this producer's next transaction half-way; so
   the producer is not used again. (Late, its AddPartitions opens a transaction without rows, and its Produce is told by its number.) */
inline end_transaction() {
  exchange(EndTxn);
#ifndef SAME_EPOCH_AFTER_SILENCE
  if
  :: silent -> printf("%c: had to ask again, so it takes a new epoch\n", NAME); goto failed
  :: else
  fi
#endif
}

/* Processor.take, Journal.fence: InitProducerId, until it is answered. A tenure that ends meanwhile cancels it. */
inline await_epoch() {
  if
  :: d_step {
      reply[me] == Ok -> reply[me] = Nothing; epoch[me] = given[me]; given[me] = 0;
      printf("%c: fenced in, with an epoch of its own\n", NAME)
    }
  :: atomic { wire[me].kind == Nothing && reply[me] == Nothing -> goto resting } /* it went down with the broker */
  :: atomic { faults > 0 -> faults--; give_up(); goto resting }
  :: atomic { !owns[me] -> give_up(); d_step { forget() }; goto resting }
  :: atomic { faults > 0 -> faults--; give_up(); goto killed }
  fi
}

/* Processor.take, Journal.read_back, replay.Replay: to the high watermark as of now, which an open transaction keeps a reader of
   committed entries from reaching. */
#ifdef NO_LSO_WAIT
#define END_NOW stable
#else
#define END_NOW high
#endif
inline read_back() {
  atomic { upto[me] = END_NOW; next = 0; seq = 0; basis = 0 };
  if
  :: d_step {
      KEEP_ABORTED || stable >= upto[me] ->
      k = 0;
      do
      :: k == upto[me] -> break
      :: else ->
        seq = ledger[k].seq;
        if
        :: ledger[k].part == LAST_PART(ledger[k].command) -> next = ledger[k].command + 1; basis = basis | (1 << ledger[k].command)
        :: else
        fi;
        k++
      od;
      upto[me] = 0;
      wipe();
      printf("%c: has read the ledger back: %d commands are answered\n", NAME, next)
    }
#ifndef WAITS_FOR_EVER
  :: atomic { /* nothing moves for long: another fenced us out, and left a transaction open */
      !KEEP_ABORTED && stable < upto[me] -> printf("%c: its reading back stands still; it takes the partition again\n", NAME);
      forget(); goto resting
    }
#endif
  :: atomic { !owns[me] -> give_up(); d_step { forget() }; goto resting }
  :: atomic { faults > 0 -> faults--; give_up(); goto killed }
  fi
}

active [2] proctype Matcher() {
  byte next, seq, basis;    /* memory: the next command (watermark + 1), the last entry's number, whose effects are in it */
  byte to, at, said, knows; /* of the append at hand: where it ends, how far it is, and what memory will be after it */
  bit part;                 /* of a split answer */
  byte number;              /* of the producer's next batch */
  bit silent;               /* whether an EndTxn of this producer went unanswered, and was repeated */
#if defined(GOES_ON_AS_IF_APPENDED) || defined(GOES_ON_AS_IF_NOT_APPENDED)
  bit kept;
#endif

resting: /* no tenure, or Tenure._rest: one that is about to take the partition */
end_resting:
  if
  :: owns[me] && ready[me] -> goto running /* the memory was kept, and is not read back */
  :: owns[me] && !ready[me]
  fi;

  /* Tenure._work, Processor.take */
#ifdef READ_BACK_BEFORE_FENCE
  read_back();
#endif
  atomic { post(InitProducerId); printf("%c: takes the partition\n", NAME) };
#ifndef NO_WAIT_FOR_EPOCH
  await_epoch();
#endif
#if defined(GOES_ON_AS_IF_APPENDED) || defined(GOES_ON_AS_IF_NOT_APPENDED)
  if
  :: kept -> kept = 0; goto taken
  :: else
  fi;
#endif
#ifndef READ_BACK_BEFORE_FENCE
  read_back();
#endif
#ifdef NO_WAIT_FOR_EPOCH
  await_epoch(); /* aiokafka's begin_transaction would wait for it */
#endif
taken:
#ifdef OFFSETS_FROM_GROUP
  next = group_offset;
  printf("%c: the group says that %d commands are answered\n", NAME, next);
#endif
  ready[me] = 1;

running: /* Tenure._work: fetch; Processor.answer */
end_running:
  if
  :: atomic {
      owns[me] && next < COMMANDS ->
      if
      :: to = next + 1
      :: next + BATCH <= COMMANDS -> to = next + BATCH
      fi;
      d_step { at = next; said = seq; knows = basis; printf("%c: answers commands %d to %d\n", NAME, next, to - 1) }
    }
  :: atomic { /* a poll from a position left since: answered is only what follows on the watermark */
      owns[me] && faults > 0 -> faults--; printf("%c: a poll brings what it did not ask for\n", NAME);
#ifdef NO_WATERMARK_CHECK
      if
      :: next = 0
      :: next < COMMANDS -> next++
      fi;
#endif
      goto running
    }
  :: atomic { /* Tenure.end: memory goes; that it may be kept, too, does no harm */
      !owns[me] ->
      if
      :: d_step { forget() }
      :: skip
      fi;
      goto resting
    }
#ifdef OFFSETS_FROM_GROUP
  :: atomic { group_offset != next -> group_offset = next; goto running } /* Membership._write_progress: now and then */
#endif
  :: atomic { faults > 0 -> faults--; goto killed }
  fi;

  /* Processor._transact, Journal.transaction, FencedWriter.transaction */
  exchange(AddPartitions);
  do
  :: at == to -> break
  :: at < to ->
    exchange(Produce);
    atomic {
      number++; said++;
      if
      :: part == LAST_PART(at) -> knows = knows | (1 << at); at++; part = 0
      :: else -> part = 1
      fi
    };
#ifdef TRANSACTION_PER_ENTRY
    if
    :: at < to -> end_transaction(); exchange(AddPartitions)
    :: else
    fi
#endif
  od;
  end_transaction();
  atomic {
    next = at; seq = said; basis = knows; to = 0; at = 0; said = 0; knows = 0; printf("%c: knows that they are answered\n", NAME)
  };
  goto running;

failed: /* Tenure._live: forgotten, to be taken anew */
  atomic {
#ifdef GOES_ON_AS_IF_APPENDED
    seq = seq + (to - next) + (next <= SPLIT && SPLIT < to); next = to; basis = BITS(to);
#endif
#if defined(GOES_ON_AS_IF_APPENDED) || defined(GOES_ON_AS_IF_NOT_APPENDED)
    kept = 1; let_go()
#else
    forget()
#endif
  };
#ifdef NO_RETAKE
  !owns[me];
#endif
  goto resting;

killed: /* kill -9, and started again; the group finds out in its own time */
  atomic { owns[me] = 0; forget(); printf("%c: killed, and started again\n", NAME) };
#if defined(GOES_ON_AS_IF_APPENDED) || defined(GOES_ON_AS_IF_NOT_APPENDED)
  kept = 0;
#endif
  goto resting
}

/* ---- The consumer group (Matcher._assigned): it tells members in its own time ---- */

active proctype Group() {
end:
  do
  :: d_step { faults > 0 -> faults--; holder = 1 - holder; printf("group: the partition goes to %c\n", 'A' + holder) }
  :: d_step { !owns[holder] -> owns[holder] = 1; printf("group: %c is told that the partition is its own\n", 'A' + holder) }
  :: d_step { owns[1 - holder] -> owns[1 - holder] = 0; printf("group: %c is told that it is not\n", 'B' - holder) }
  od
}

#ifdef PROGRESS
ltl all_answered { <> (answered == COMMANDS) }
#endif
