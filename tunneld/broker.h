/* tunneld's conversation with proxyd: requests of the flows out, sockets and answers in. */
#ifndef NEXD_TUNNELD_BROKER_IPC_H
#define NEXD_TUNNELD_BROKER_IPC_H

#include "child/child.h"
#include "tunneld/flow/broker.h"

/* The flows' broker over the current link to proxyd. */
const struct broker *broker_ipc(struct child **child);
/* A message from proxyd. Descriptors that were used are taken out of it. */
void broker_message(struct ipc_message *message);
/* proxyd died. */
void broker_down(void);

#endif
