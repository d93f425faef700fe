/* What is known of the network: its devices, its security groups, and what is said of its relays, each as a
 * JSON text under its id. Number and size are bounded, whatever a control plane sends. No I/O. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_CATALOG_H
#define NEXD_CTLD_NEXODUS_SESSION_CATALOG_H

#include "ctld/nexodus/models.h"

enum catalog_kind {
    CATALOG_DEVICES = 0,
    CATALOG_GROUPS,
    CATALOG_RELAYS, /* a device's metadata "relay", under the device's id */
    CATALOG_KINDS,
};
enum {
    CATALOG_DEVICES_MAX = 8192,
    CATALOG_DEVICES_BYTES_MAX = 11 << 20,
    CATALOG_GROUPS_MAX = 1024,
    CATALOG_GROUPS_BYTES_MAX = 2 << 20,
    CATALOG_RELAYS_MAX = 1024,
    CATALOG_RELAYS_BYTES_MAX = 1 << 20,
    CATALOG_TEXT_MAX = 160 << 10, /* of one entry */
};

struct catalog_entry {
    char id[UUID_TEXT_LENGTH + 1];
    char *text;
    size_t length;
};
struct catalog_shelf {
    struct catalog_entry *items; /* by id */
    size_t count, capacity, bytes;
    uint64_t revision; /* the highest that was taken */
    bool full;         /* said once: something had no room */
};
struct catalog {
    struct catalog_shelf shelves[CATALOG_KINDS];
    struct json_writer *writer;
};

/* NX_ENOMEM. */
int catalog_init(struct catalog *catalog);
/* One that is zero is fine. */
void catalog_destroy(struct catalog *catalog);

enum catalog_change { CATALOG_SAME = 0, CATALOG_CHANGED, CATALOG_NO_ROOM };
/* A device, without what changes all the time and matters to nobody here (revision, online), so that only
 * what matters is a change. */
enum catalog_change catalog_put_device(struct catalog *catalog, const struct api_device *device);
enum catalog_change catalog_put_value(struct catalog *catalog, enum catalog_kind kind, const char *id,
                                      const struct json_value *value);
enum catalog_change catalog_remove(struct catalog *catalog, enum catalog_kind kind, const char *id);
const struct catalog_entry *catalog_find(const struct catalog *catalog, enum catalog_kind kind,
                                         const char *id);

/* A device as peering wants it; borrowed for the call. */
typedef void (*catalog_device_fn)(void *arg, const struct peering_device *device);
/* `readers`: memory for decoding. False: there is no such device. */
bool catalog_device(const struct catalog *catalog, const char *id, struct json_reader *reader,
                    catalog_device_fn fn, void *arg);
void catalog_devices(const struct catalog *catalog, struct json_reader *reader, catalog_device_fn fn,
                     void *arg);
/* The security group of the device; "" = none. `out` has UUID_TEXT_LENGTH + 1 bytes. */
void catalog_group_of(const struct catalog *catalog, const char *device_id, struct json_reader *reader,
                      char *out);

#endif
