/*
 * interrupt.h: Ctrl-C without a signal handler: the signal stays blocked and
 * the waiting thread asks for it. Main thread; block before starting others.
 */
#ifndef INV_CLI_INTERRUPT_H
#define INV_CLI_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

/* False when they were blocked already: whoever blocked them unblocks. */
bool inv_interrupt_block(void);
/* Back to normal: the next Ctrl-C ends the process. */
void inv_interrupt_unblock(void);
/* Waits; true as soon as Ctrl-C (or SIGTERM) has come. */
bool inv_interrupt_wait(unsigned milliseconds);
/* For loops that finish what is under way: waits; true at the first Ctrl-C.
 * Another one, half a second later or more, ends the process. *first_ns is 0
 * in the beginning. */
bool inv_interrupt_watch(unsigned milliseconds, uint64_t *first_ns);

#endif
