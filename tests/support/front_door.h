/*
 * front_door.h: a small application behind the front door, for its tests.
 *
 *   /echo/...        what arrived, as text; 64 KiB bodies
 *   /big?bytes=n     n bytes; ?slow
 *   /gate            waits until door_open; says how it went
 *   /live            immediate
 *   /stream/all      reads everything: count and checksum
 *   /stream/gate     the same, after door_open
 *   /stream/some?bytes=n   stops after n bytes, answers 400
 *   /memory          a response that has run out of memory
 */
#ifndef TESTS_SUPPORT_FRONT_DOOR_H
#define TESTS_SUPPORT_FRONT_DOOR_H

#include "server/http/http.h"

#include <pthread.h>
#include <stdatomic.h>

#define DOOR_BODY_MAX 65536

struct door {
    struct inv_http *http;
    uint16_t port;
    atomic_int handled;          /* handler calls begun */
    atomic_int finished;         /* and ended */
    atomic_int done;             /* calls of the done callback */
    atomic_int done_by_class[6]; /* [4]: 4xx ... */
    atomic_int aborted;          /* streams that ended with -1 */
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
};

/* Sensible settings: 2 I/O threads, 2 workers, a queue of 64, 2 streams. */
struct inv_http_config door_config(struct door *door);
/* config NULL: door_config. Aborts the test on failure. */
void door_start(struct door *door, const struct inv_http_config *config);
void door_stop(struct door *door, unsigned drain_ms); /* once more is fine */
void door_open(struct door *door); /* lets /gate and /stream/gate go on */
/* Waits until *value is at least `least`; false after ten seconds. */
bool door_wait(atomic_int *value, int least);

#endif
