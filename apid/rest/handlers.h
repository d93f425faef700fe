/* The handlers of the routes, by resource; each answers its call. apid/rest only. */
#ifndef NEXD_APID_HANDLERS_H
#define NEXD_APID_HANDLERS_H

#include "apid/rest/api.h"

/* user.c */
void users_me(struct call *call);
void users_list(struct call *call);
void users_get(struct call *call);
/* organization.c */
void organizations_list(struct call *call);
void organizations_get(struct call *call);
void organizations_create(struct call *call);
void organizations_delete(struct call *call);
void organization_users_list(struct call *call);
/* vpc.c */
void vpcs_list(struct call *call);
void vpcs_get(struct call *call);
void vpcs_create(struct call *call);
void vpcs_update(struct call *call);
void vpcs_delete(struct call *call);
/* device.c */
void devices_list(struct call *call);
void devices_get(struct call *call);
void devices_create(struct call *call);
void devices_update(struct call *call);
void devices_delete(struct call *call);
void vpc_devices_list(struct call *call);
/* metadata.c */
void metadata_list(struct call *call);
void metadata_get(struct call *call);
void metadata_put(struct call *call);
void metadata_delete(struct call *call);
void metadata_clear(struct call *call);
void vpc_metadata_list(struct call *call);
/* reg_key.c */
void reg_keys_me(struct call *call);
void reg_keys_list(struct call *call);
void reg_keys_get(struct call *call);
void reg_keys_create(struct call *call);
void reg_keys_update(struct call *call);
void reg_keys_delete(struct call *call);
/* security_group.c */
void security_groups_list(struct call *call);
void security_groups_get(struct call *call);
void security_groups_create(struct call *call);
void security_groups_update(struct call *call);
void security_groups_delete(struct call *call);
void vpc_security_groups_list(struct call *call);
/* watch.c */
void events_watch(struct call *call);
void vpc_events_watch(struct call *call);
/* feature.c */
void features_list(struct call *call);
void features_get(struct call *call);
void nothing_list(struct call *call);

#endif
