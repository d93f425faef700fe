/* A policy's life, and what needs no judging. */
#include "policy/internal.h"

#include <stdio.h>
#include <stdlib.h>

struct policy *policy_new(const char *file)
{
    struct policy *const policy = calloc(1, sizeof *policy);
    if (policy == NULL)
        return NULL;
    snprintf(policy->file, sizeof policy->file, "%s", file);
    /* It goes into logs and messages. */
    for (char *c = policy->file; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    policy->run_time_rules = true;
    return policy;
}

static void names_free(struct name_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

void statement_destroy(struct statement *statement)
{
    free(statement->text);
    free(statement->listen_ports.items);
    free(statement->dest_ports.items);
    free(statement->prefixes.items);
    names_free(&statement->names);
    names_free(&statement->methods);
    *statement = (struct statement){0};
}

void policy_free(struct policy *policy)
{
    if (policy == NULL)
        return;
    for (size_t i = 0; i < policy->count; i++)
        statement_destroy(&policy->statements[i]);
    free(policy->statements);
    free(policy);
}

const char *policy_file(const struct policy *policy)
{
    return policy->file;
}

size_t policy_line_count(const struct policy *policy)
{
    return policy->count;
}

const char *policy_line(const struct policy *policy, size_t index, unsigned *number)
{
    *number = policy->statements[index].line;
    return policy->statements[index].text;
}

bool policy_line_is_control(const struct policy *policy, size_t index)
{
    return policy->statements[index].kind == STATEMENT_CONTROL;
}

bool policy_run_time_rules(const struct policy *policy, unsigned *line)
{
    *line = policy == NULL ? 0 : policy->run_time_line;
    return policy == NULL || policy->run_time_rules;
}

struct policy_limits policy_limits(const struct policy *policy)
{
    static const struct policy_limits none;
    return policy == NULL ? none : policy->limits;
}
