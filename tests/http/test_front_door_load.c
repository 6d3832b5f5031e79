/*
 * Tests of the front door under load and while it stops: nothing is lost,
 * nothing hangs, nothing is freed twice (the last is for ASan and TSan).
 */
#include "base/clock.h"
#include "tests/support/front_door.h"
#include "tests/support/raw_http.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST "Host: test\r\n"
#define CLIENTS 200

static struct door door;

static void teardown(void) {
    if (door.http == NULL)
        return;
    door_open(&door);
    door_stop(&door, 1000);
}

struct client {
    pthread_t thread;
    const char *request;
    char body[256];
    int status;
    uint16_t port;
};

static void *run_client(void *arg) {
    struct client *client = arg;
    client->status = raw_once(client->port, client->request, client->body,
                              sizeof client->body);
    return NULL;
}

static void start_clients(struct client *clients, size_t count,
                          const char *request) {
    for (size_t i = 0; i < count; i++) {
        clients[i] = (struct client){.port = door.port, .request = request};
        ck_assert_int_eq(
            pthread_create(&clients[i].thread, NULL, run_client, &clients[i]),
            0);
    }
}

static int join_clients(struct client *clients, size_t count, int status) {
    int number = 0;
    for (size_t i = 0; i < count; i++) {
        pthread_join(clients[i].thread, NULL);
        number += clients[i].status == status;
    }
    return number;
}

static struct client clients[CLIENTS];

START_TEST(a_full_queue_refuses_and_loses_nothing) {
    struct inv_http_config config = door_config(&door);
    config.queue_limit = 4;
    door_start(&door, &config);
    start_clients(clients, CLIENTS, "GET /gate HTTP/1.1\r\n" HOST "\r\n");
    /* Two run and four wait, or fewer when the queue was full before a worker
     * had woken up. */
    ck_assert(door_wait(&door.done, CLIENTS - 6));
    ck_assert_uint_le(inv_http_queue_depth(door.http), 4);
    char text[] = "GET /live HTTP/1.1\r\n" HOST "\r\n";
    ck_assert_int_eq(raw_once(door.port, text, NULL, 0), 200);
    door_open(&door);
    int served = join_clients(clients, CLIENTS, 200);
    int busy = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        if (clients[i].status != 503)
            continue;
        busy++;
        ck_assert_ptr_nonnull(strstr(clients[i].body, "4 of 4 waiting"));
    }
    ck_assert_msg(served >= 4 && served <= 6, "%d", served);
    ck_assert_int_eq(served + busy, CLIENTS);
    ck_assert(door_wait(&door.done, CLIENTS + 1));
}
END_TEST

START_TEST(more_clients_than_connections_wait_their_turn) {
    struct inv_http_config config = door_config(&door);
    config.connections = 8;
    config.queue_limit = CLIENTS;
    door_start(&door, &config);
    start_clients(clients, CLIENTS, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    ck_assert_int_eq(join_clients(clients, CLIENTS, 200), CLIENTS);
}
END_TEST

START_TEST(an_idle_connection_is_closed) {
    struct inv_http_config config = door_config(&door);
    config.idle_timeout_s = 1;
    door_start(&door, &config);
    int fd = raw_connect(door.port);
    ck_assert(raw_puts(fd, "POST /stream/all HTTP/1.1\r\n" HOST
                           "Content-Length: 10\r\n\r\nabc"));
    ck_assert(raw_at_end(fd));
    ck_assert(door_wait(&door.aborted, 1));
    close(fd);
}
END_TEST

struct stop {
    pthread_t thread;
    unsigned drain_ms;
};

static void *run_stop(void *arg) {
    const struct stop *stop = arg;
    inv_http_stop(door.http, stop->drain_ms);
    return NULL;
}

static void start_stop(struct stop *stop, unsigned drain_ms) {
    stop->drain_ms = drain_ms;
    ck_assert_int_eq(pthread_create(&stop->thread, NULL, run_stop, stop), 0);
}

static void join_stop(struct stop *stop) {
    pthread_join(stop->thread, NULL);
    door.http = NULL;
}

static void wait_refused(void) {
    for (int i = 0; i < 10000; i++) {
        int fd = raw_try_connect(door.port);
        if (fd < 0)
            return;
        close(fd);
        usleep(1000);
    }
    ck_abort_msg("new clients still get in");
}

START_TEST(what_runs_may_finish) {
    struct stop stop;
    struct raw_response response;
    door_start(&door, NULL);
    int idle = raw_connect(door.port);
    ck_assert(raw_puts(idle, "GET /echo HTTP/1.1\r\n" HOST "\r\n"));
    ck_assert_int_eq(raw_read(idle, &response), 200);
    raw_release(&response);
    start_clients(clients, 2, "GET /gate HTTP/1.1\r\n" HOST "\r\n");
    ck_assert(door_wait(&door.handled, 3));
    start_stop(&stop, 10000);
    wait_refused();
    usleep(20000); /* the phase follows the listener */
    /* Who is connected already hears that it is over. */
    ck_assert(raw_puts(idle, "GET /echo HTTP/1.1\r\n" HOST "\r\n"));
    ck_assert_int_eq(raw_read(idle, &response), 503);
    ck_assert_str_eq(raw_header(&response, "Connection"), "close");
    ck_assert_str_eq(response.body.data, "the server is shutting down");
    raw_release(&response);
    close(idle);
    door_open(&door);
    ck_assert_int_eq(join_clients(clients, 2, 200), 2);
    ck_assert_str_eq(clients[0].body, "through");
    join_stop(&stop);
    ck_assert_int_eq(atomic_load(&door.done), 4);
}
END_TEST

START_TEST(what_waits_is_refused_when_the_time_is_up) {
    struct stop stop;
    door_start(&door, NULL);
    start_clients(clients, 10, "GET /gate HTTP/1.1\r\n" HOST "\r\n");
    ck_assert(door_wait(&door.handled, 2));
    for (int i = 0; i < 1000 && inv_http_queue_depth(door.http) < 8; i++)
        usleep(1000);
    start_stop(&stop, 50);
    usleep(300000);
    door_open(&door); /* two handlers come back, late */
    ck_assert_int_eq(join_clients(clients, 10, 200), 2);
    for (int i = 0; i < 10; i++)
        ck_assert(clients[i].status == 200 || clients[i].status == 503);
    join_stop(&stop);
    ck_assert_int_eq(atomic_load(&door.handled), 2);
    ck_assert_int_eq(atomic_load(&door.done), 10);
}
END_TEST

START_TEST(half_sent_bodies_do_not_hold_up_a_stop) {
    door_start(&door, NULL);
    int normal = raw_connect(door.port);
    int stream = raw_connect(door.port);
    int leaving = raw_connect(door.port);
    ck_assert(raw_puts(normal, "POST /echo HTTP/1.1\r\n" HOST
                               "Content-Length: 10\r\n\r\nabc"));
    ck_assert(raw_puts(stream, "POST /stream/all HTTP/1.1\r\n" HOST
                               "Content-Length: 10\r\n\r\nabc"));
    ck_assert(raw_puts(leaving, "POST /echo HTTP/1.1\r\n" HOST
                                "Content-Length: 100000\r\n\r\nabc"));
    ck_assert(door_wait(&door.handled, 1));
    ck_assert(door_wait(&door.done, 1)); /* the 413; it lingers now */
    uint64_t start = inv_now_ns();
    inv_http_stop(door.http, 0);
    door.http = NULL;
    ck_assert_uint_lt(inv_now_ns() - start, UINT64_C(900000000));
    ck_assert_int_eq(atomic_load(&door.aborted), 1);
    ck_assert_int_eq(atomic_load(&door.handled), 1);
    ck_assert_int_eq(atomic_load(&door.done), 3);
    struct raw_response response;
    ck_assert_int_eq(raw_read(normal, &response), 503);
    ck_assert_str_eq(response.body.data, "the server is shutting down");
    raw_release(&response);
    ck_assert_int_eq(raw_read(stream, &response), 503);
    raw_release(&response);
    ck_assert_int_eq(raw_read(leaving, &response), 413);
    raw_release(&response);
    close(normal);
    close(stream);
    close(leaving);
}
END_TEST

/* ---- any moment ---- */

static atomic_bool over;

static void *hammer(void *arg) {
    static const char *const requests[] = {
        "GET /echo/a?q=1 HTTP/1.1\r\n" HOST "\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabcde",
        "POST /stream/all HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabcde",
        "POST /stream/some?bytes=2 HTTP/1.1\r\n" HOST
        "Content-Length: 5\r\n\r\nabcde",
        "GET /live HTTP/1.1\r\n" HOST "\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 99999\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 50\r\n\r\nleaves",
        "GET /big?bytes=200000 HTTP/1.1\r\n" HOST "\r\n",
        "POST /stream/all HTTP/1.1\r\n" HOST "Content-Length: 50\r\n\r\nleaves",
    };
    unsigned seed = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&over)) {
        int fd = raw_try_connect(door.port);
        for (int i = 0; fd >= 0 && i < 5; i++) {
            struct raw_response response = {0};
            size_t pick =
                (size_t)rand_r(&seed) % (sizeof requests / sizeof requests[0]);
            bool leave = strstr(requests[pick], "leaves") != NULL;
            int status = raw_puts(fd, "%s", requests[pick]) && !leave
                             ? raw_read(fd, &response)
                             : 0;
            raw_release(&response);
            if (status == 0)
                break;
            if (status != 200 && status != 400 && status != 413 &&
                status != 503)
                abort();
        }
        if (fd >= 0)
            close(fd);
    }
    return NULL;
}

START_TEST(it_can_stop_at_any_moment) {
    for (unsigned round = 0; round < 12; round++) {
        pthread_t threads[6];
        struct inv_http_config config = door_config(&door);
        config.queue_limit = 3;
        config.io_threads = 1 + (int)(round % 2);
        door_start(&door, &config);
        atomic_store(&over, false);
        for (uintptr_t i = 0; i < 6; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer,
                                            (void *)(round * 6 + i + 1)),
                             0);
        usleep(3000 * round);
        door_stop(&door, round % 3 * 20);
        int handled = atomic_load(&door.handled);
        int finished = atomic_load(&door.finished);
        ck_assert_int_eq(finished, handled);
        atomic_store(&over, true);
        for (int i = 0; i < 6; i++)
            pthread_join(threads[i], NULL);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("front door, load");
    TCase *tcase = tcase_create("load");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_test(tcase, a_full_queue_refuses_and_loses_nothing);
    tcase_add_test(tcase, more_clients_than_connections_wait_their_turn);
    tcase_add_test(tcase, an_idle_connection_is_closed);
    tcase_add_test(tcase, what_runs_may_finish);
    tcase_add_test(tcase, what_waits_is_refused_when_the_time_is_up);
    tcase_add_test(tcase, half_sent_bodies_do_not_hold_up_a_stop);
    tcase_add_test(tcase, it_can_stop_at_any_moment);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
