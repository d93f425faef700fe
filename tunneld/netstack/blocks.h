/* Memory for lwIP: see blocks.c; lwIP's side of it is declared in port/arch/cc.h. tunneld only, one thread.
 */
#ifndef NEXD_TUNNELD_BLOCKS_H
#define NEXD_TUNNELD_BLOCKS_H

#include <stddef.h>

/* Connections hold so many bytes now; the list of free blocks may be as long as these are worth. Once a turn.
 */
void netstack_blocks_expect(size_t bytes);

/* Gives the free blocks back to the C library. */
void netstack_blocks_trim(void);

#endif
