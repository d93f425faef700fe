/* Every connection that is active or in TIME-WAIT, by its four-tuple. A chained hash table keyed with a
 * secret, so that a peer cannot aim at one chain. lwIP keeps it up to date through the hooks of patch 0001.
 * One thread. */
#ifndef NEXD_TUNNELD_PCB_TABLE_H
#define NEXD_TUNNELD_PCB_TABLE_H

#include <stddef.h>

/* NX_OK or NX_ENOMEM. */
int pcb_table_init(void);
size_t pcb_table_count(void);

#endif
