// probe_list.c -- the list of what a probe measures, read from a text file.
#include "probe.h"
#include "../llmc/check.h"
#include "../llmc/files.h"

#include <string.h>

static void parse_variant(ProbeVariant* v, char* line, const char* where) {
    OptionTable table = drpt_option_table(&v->options);
    char* bar = strchr(line, '|');
    check(bar != NULL, "%s: '%s' is not 'label | options'", where, line);
    char* end = bar;
    while (end > line && (end[-1] == ' ' || end[-1] == '\t')) { end--; }
    *end = '\0';
    check(*line && !strchr(line, ',') && !strchr(line, '"'), "%s: a label has at least a letter, and neither commas nor quotes", where);
    v->label = line;
    v->text = bar + 1 + strspn(bar + 1, " \t");
    v->options = drpt_defaults;
    v->words = strdup(v->text);
    check(v->words != NULL, "out of memory");
    options_parse_line(&table, 1, v->words, where);
    const DrptOptions* o = &v->options;
    check(strcmp(o->metric, "gradient") == 0, "%s: --metric %s: the probe knows no second moments", where, o->metric);
    check(strcmp(o->score, "auto") == 0, "%s: --score %s: the probe's inner products are exact, whatever the route", where, o->score);
    check(strcmp(o->weigh, "rows") == 0 && !o->log_geometry, "%s: --weigh and --log-geometry belong to the run", where);
}

ProbeList probe_list_read(const char* path) {
    ProbeList list = { .text = input_text(path) };
    char* line = list.text;
    for (int number = 1; *line; number++) {
        char where[4096], *next = line + strcspn(line, "\n"), *end = next;
        if (*next) { *next++ = '\0'; }
        while (end > line && (end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t')) { *--end = '\0'; }
        line += strspn(line, " \t");
        if (*line && *line != '#') {
            snprintf(where, sizeof(where), "%s:%d", path, number);
            list.variant = realloc(list.variant, sizeof(ProbeVariant) * (size_t)(list.count + 1));
            check(list.variant != NULL, "out of memory");
            parse_variant(&list.variant[list.count++], line, where);
        }
        line = next;
    }
    check(list.count > 0, "%s: has no line 'label | options'", path);
    return list;
}

void probe_list_free(ProbeList* list) {
    for (int v = 0; v < list->count; v++) { free(list->variant[v].words); }
    free(list->variant);
    free(list->text);
    *list = (ProbeList){0};
}
