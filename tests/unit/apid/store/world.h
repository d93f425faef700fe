/* A store in a folder of its own for each test, and short ways to fill it. */
#ifndef NEXD_TESTS_APID_STORE_WORLD_H
#define NEXD_TESTS_APID_STORE_WORLD_H

#include "apid/store/internal.h"

#include <check.h>

#define PASSWORD "correct horse battery"

extern char world_folder[64];
extern struct store *world;
extern struct store_error world_error;

/* A checked fixture. */
void world_make(void);
void world_remove(void);

/* Another connection to the same database; the caller closes it. */
struct store *world_open(void);
/* Path of a file in the folder; one at a time. */
const char *world_path(const char *name);

struct store_user world_user(const char *name);
/* A new public key's text. */
void world_key(char out[STORE_KEY_MAX]);
/* What a client may ask for, with a new key: for store_device_create(). */
struct store_device world_request(const char *owner_id, const char *vpc_id);
/* A registered device. */
struct store_device world_device(const char *owner_id, const char *vpc_id);
struct store_vpc world_vpc(const char *organization_id, const char *ipv4_cidr, const char *ipv6_cidr);

/* Runs the suite of one test case; for main(). `setup`: world_make(), or what calls it. */
int world_run(const char *name, void (*add)(TCase *cases), void (*setup)(void));

#endif
