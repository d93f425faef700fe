/* apid device … */
#include "apid/admin/commands.h"

#include "apid/admin/output.h"
#include "apid/rest/model.h"
#include "common/err.h"

struct listing {
    struct admin *admin;
    struct output out;
};

static int row(void *arg, const struct store_device *device)
{
    struct listing *list = arg;
    struct store_user owner;
    if (list->out.is_json) {
        model_device(&list->out.json, device, NULL);
        return NX_OK;
    }
    int err = store_user_get(list->admin->store, device->owner_id, &owner);
    return err ? err
               : output_row(&list->out,
                            (const char *const[]){device->id, device->hostname, device->ipv4, device->ipv6,
                                                  device->online ? "online" : "offline", owner.username,
                                                  device->vpc_id});
}

int device_list(struct admin *admin)
{
    static const char *const titles[] = {"ID", "HOSTNAME", "IPV4", "IPV6", "STATE", "USER", "VPC", NULL};
    struct listing list = {.admin = admin};
    struct store_filter filter;
    int err = admin_filter(admin, &filter);
    if (err)
        return err;
    output_begin(&list.out, admin->arguments.json, titles);
    err = output_end(&list.out, store_devices_list(admin->store, &filter, row, &list));
    return err ? admin_fail_store(admin, err, "devices", NULL) : NX_OK;
}

int device_delete(struct admin *admin)
{
    struct json_out json = {0};
    struct store_device device;
    int err = store_device_delete(admin->store, admin->arguments.operand, &device);
    if (err)
        return admin_fail_store(admin, err, "device of that id", NULL);
    if (!admin->arguments.json) {
        puts(device.id);
        return fflush(stdout) ? NX_ESYS : NX_OK;
    }
    model_device(&json, &device, NULL);
    return output_object(&json);
}
