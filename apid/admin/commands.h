/* What the commands share, and the commands, each of which does its work and prints its result. apid/admin
 * only. */
#ifndef NEXD_APID_ADMIN_COMMANDS_H
#define NEXD_APID_ADMIN_COMMANDS_H

#include "apid/admin/command.h"
#include "apid/store/store.h"

struct admin {
    struct admin_arguments arguments;
    struct store *store;
    char error[ADMIN_ERROR_MAX]; /* one line, once a command has failed */
};

/* Keeps what is wrong and returns `err`: NX_EINVAL is a mistake of who wrote the command line. */
__attribute__((format(printf, 3, 4))) int admin_fail(struct admin *admin, int err, const char *format, ...);
/* What a function of the store did not like, about `what` ("user bob"). `error` may be NULL. */
int admin_fail_store(struct admin *admin, int err, const char *what, const struct store_error *error);

/* The value of a flag; "" where it was not given. */
const char *admin_value(const struct admin *admin, enum admin_flag flag);

/* Whose the thing is to be: --user, or else the only user that there is. */
int admin_user(struct admin *admin, struct store_user *out);
/* By name or id. */
int admin_user_find(struct admin *admin, const char *name, struct store_user *out);
/* The VPC of --vpc, in `out`, whose owner has to be that of --user where both are given; else the default one
 * of admin_user(). */
int admin_vpc(struct admin *admin, struct store_vpc *out);
/* Narrows a list to --user and --vpc, where they are given. */
int admin_filter(struct admin *admin, struct store_filter *out);

int user_add(struct admin *admin);
int user_list(struct admin *admin);
int user_password(struct admin *admin);
int user_delete(struct admin *admin);
int reg_key_create(struct admin *admin);
int reg_key_list(struct admin *admin);
int reg_key_delete(struct admin *admin);
int device_list(struct admin *admin);
int device_delete(struct admin *admin);
int vpc_list(struct admin *admin);
int vpc_create(struct admin *admin);
int vpc_update(struct admin *admin);
int vpc_delete(struct admin *admin);
int security_group_list(struct admin *admin);
int security_group_show(struct admin *admin);
int security_group_create(struct admin *admin);
int security_group_update(struct admin *admin);
int security_group_delete(struct admin *admin);

#endif
