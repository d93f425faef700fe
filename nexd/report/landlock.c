/* The answer of the control socket's SandboxReport: [{"process": "tunneld", …}, …]. It comes from a process
 * that may be in hostile hands: what is not as it should be counts as not said. */
#include "nexd/report/report.h"

#include "common/err.h"
#include "nexctl/json.h"

#include <ctype.h>
#include <string.h>

static const char *text_of(yajl_val object, const char *name)
{
    const char *path[] = {name, NULL};
    return YAJL_GET_STRING(yajl_tree_get(object, path, yajl_t_string));
}

static bool number_of(yajl_val object, const char *name, uint64_t *out)
{
    const char *path[] = {name, NULL};
    yajl_val value = yajl_tree_get(object, path, yajl_t_number);
    if (!value || !YAJL_IS_INTEGER(value) || YAJL_GET_INTEGER(value) < 0)
        return false;
    *out = (uint64_t)YAJL_GET_INTEGER(value);
    return true;
}

/* It goes to a terminal. */
static bool is_plain(const char *text)
{
    for (; *text; text++)
        if (!isprint((unsigned char)*text) || *text == '"' || *text == '\\')
            return false;
    return true;
}

static bool missing_join(yajl_val list, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < list->u.array.len; i++) {
        const char *name = YAJL_GET_STRING(list->u.array.values[i]);
        if (!name || !is_plain(name) || length + strlen(name) + 3 > size)
            return false;
        length += (size_t)snprintf(out + length, size - length, "%s%s", i ? ", " : "", name);
    }
    return true;
}

static void process_take(yajl_val object, struct report *report)
{
    static const char *const missing_path[] = {"missing", NULL};
    const char *name = text_of(object, "process"), *sandbox = text_of(object, "sandbox");
    yajl_val missing = yajl_tree_get(object, (const char **)missing_path, yajl_t_array);
    for (size_t i = 0; name && i < REPORT_PROCESSES; i++) {
        struct report_process *process = &report->processes[i];
        if (!process->name || strcmp(process->name, name) != 0)
            continue;
        if (!sandbox || (strcmp(sandbox, "strict") != 0 && strcmp(sandbox, "best-effort") != 0) || !missing ||
            !missing_join(missing, process->missing, sizeof process->missing) ||
            !number_of(object, "landlock_abi", &process->landlock_abi) ||
            !number_of(object, "landlock_fs", &process->landlock_fs) ||
            !number_of(object, "landlock_net", &process->landlock_net) ||
            !number_of(object, "landlock_scoped", &process->landlock_scoped))
            return;
        snprintf(process->sandbox, sizeof process->sandbox, "%s", sandbox);
        process->landlock_known = true;
    }
}

int report_landlock_parse(const char *json, struct report *report)
{
    yajl_val tree = json_tree_parse(json);
    int err = tree && YAJL_IS_ARRAY(tree) ? NX_OK : NX_EPROTO;
    for (size_t i = 0; !err && i < tree->u.array.len; i++)
        if (YAJL_IS_OBJECT(tree->u.array.values[i]))
            process_take(tree->u.array.values[i], report);
    yajl_tree_free(tree);
    return err;
}
