/*
 * interrupt.h: Ctrl-C without a signal handler: the signal stays blocked and
 * the waiting thread asks for it. Main thread; block before starting others.
 */
#ifndef INV_CLI_INTERRUPT_H
#define INV_CLI_INTERRUPT_H

#include <stdbool.h>

void inv_interrupt_block(void);
/* Back to normal: the next Ctrl-C ends the process. */
void inv_interrupt_unblock(void);
/* Waits; true as soon as Ctrl-C (or SIGTERM) has come. */
bool inv_interrupt_wait(unsigned milliseconds);

#endif
