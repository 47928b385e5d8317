// table.c -- on a CPU inner products are added to the statistics at once: see gather.h.
#include "gather.h"

struct Tables* gather_tables(int n, int m) { (void)n; (void)m; return NULL; }
void gather_tables_free(struct Tables* tables) { (void)tables; }
void gather_end(const Gather* g) { (void)g; }
