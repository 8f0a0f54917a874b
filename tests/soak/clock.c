/* A clock that steps: preloaded, it adds to the time of day what a file says, and leaves everything else alone.
 *
 * PUMASI_SOAK_CLOCK names a file of eight bytes: nanoseconds, signed, in the machine's byte order. It is mapped once, so a step is
 * seen at the next look at the clock. CLOCK_MONOTONIC, timers and sleeps stay as they are, as on a machine whose time was set.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const volatile int64_t *step;
static int (*true_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("PUMASI_SOAK_CLOCK");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *step, PROT_READ, MAP_SHARED, file, 0);

    if (file >= 0)
        close(file);
    if (mapped != MAP_FAILED)
        step = mapped;
    true_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int status;
    int64_t nanoseconds;

    if (!true_clock)
        begin();
    status = true_clock(clock, at);
    if (status || !step || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return status;
    nanoseconds = at->tv_nsec + *step % SECOND;
    at->tv_sec += *step / SECOND + (nanoseconds >= SECOND) - (nanoseconds < 0);
    at->tv_nsec = nanoseconds + (nanoseconds < 0 ? SECOND : nanoseconds >= SECOND ? -SECOND : 0);
    return 0;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec exact;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact))
        return -1;
    at->tv_sec = exact.tv_sec;
    at->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec exact;

    if (clock_gettime(CLOCK_REALTIME, &exact))
        return (time_t)-1;
    if (at)
        *at = exact.tv_sec;
    return exact.tv_sec;
}
