/* A hash chain's links filled in by a thread that knows nothing of Python. A link is a JSON object in the making, `{…` up to where
   `,"hash":"` and 64 places for digits stand; its hash is over the hash before it and the object without that member. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "blake.h"

#define PUMASI_HASH 32
#define PUMASI_BEFORE_DIGITS 9 /* ,"hash":" */

typedef struct {
    unsigned char *body;
    size_t length;
} pumasi_link;

typedef struct pumasi_links {
    pumasi_link *links;
    size_t count;
    const unsigned char *previous; /* 32 bytes, true by the time the first link's turn has come */
    unsigned char hash[PUMASI_HASH];
    int done;
    unsigned life; /* of which it was handed over */
    struct pumasi_links *next;
} pumasi_links;

static void pumasi_fill_in(pumasi_links *job) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *previous = job->previous;
    for (size_t at = 0; at < job->count; at++) {
        unsigned char *body = job->links[at].body, *end = body + job->links[at].length, *out = end + PUMASI_BEFORE_DIGITS;
        *end = '}';
        pumasi_blake2b_behind((const char *)previous, (const char *)body, job->links[at].length + 1, job->hash);
        *end = ',';
        for (int byte = 0; byte < PUMASI_HASH; byte++) {
            *out++ = digits[job->hash[byte] >> 4];
            *out++ = digits[job->hash[byte] & 15];
        }
        previous = job->hash;
    }
    if (job->count == 0) memcpy(job->hash, previous, PUMASI_HASH);
}

static pthread_mutex_t pumasi_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pumasi_come = PTHREAD_COND_INITIALIZER, pumasi_gone = PTHREAD_COND_INITIALIZER;
static pumasi_links *pumasi_first, *pumasi_last;
static int pumasi_at_work;
static unsigned pumasi_life; /* a forked process begins another, without a thread and without what was handed to it */

static void *pumasi_work(void *nothing) {
    pthread_mutex_lock(&pumasi_lock);
    for (;;) {
        while (pumasi_first == NULL) pthread_cond_wait(&pumasi_come, &pumasi_lock);
        pumasi_links *job = pumasi_first;
        pumasi_first = job->next;
        if (pumasi_first == NULL) pumasi_last = NULL;
        pthread_mutex_unlock(&pumasi_lock);
        pumasi_fill_in(job);
        pthread_mutex_lock(&pumasi_lock);
        job->done = 1; /* it may be gone from now on */
        pthread_cond_broadcast(&pumasi_gone);
    }
    return nothing;
}

static void pumasi_forked(void) {
    pthread_mutex_init(&pumasi_lock, NULL);
    pthread_cond_init(&pumasi_come, NULL);
    pthread_cond_init(&pumasi_gone, NULL);
    pumasi_first = pumasi_last = NULL;
    pumasi_at_work = 0;
    pumasi_life++;
}

/* Hand links to the thread, after all that it was handed before; 0 if there is no thread to be had. */
static int pumasi_hand_over(pumasi_links *job) {
    static int told_of_forks;
    pthread_mutex_lock(&pumasi_lock);
    if (!pumasi_at_work) {
        pthread_t thread;
        if (!told_of_forks) told_of_forks = pthread_atfork(NULL, NULL, pumasi_forked) == 0;
        sigset_t all, before; /* signals are for Python's threads */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        if (told_of_forks && pthread_create(&thread, NULL, pumasi_work, NULL) == 0) {
            pthread_detach(thread);
            pumasi_at_work = 1;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    int taken = pumasi_at_work;
    if (taken) {
        job->next = NULL;
        job->done = 0;
        job->life = pumasi_life;
        if (pumasi_last == NULL) pumasi_first = job;
        else pumasi_last->next = job;
        pumasi_last = job;
        pthread_cond_signal(&pumasi_come);
    }
    pthread_mutex_unlock(&pumasi_lock);
    return taken;
}

/* Whether it is done, once that is certain; 0 if it was handed over before a fork. */
static int pumasi_wait_for(pumasi_links *job) {
    pthread_mutex_lock(&pumasi_lock);
    while (!job->done && job->life == pumasi_life) pthread_cond_wait(&pumasi_gone, &pumasi_lock);
    int done = job->done;
    pthread_mutex_unlock(&pumasi_lock);
    return done;
}
