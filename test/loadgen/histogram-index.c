// SPDX-License-Identifier: MIT
/* Print histogram_index() of each argument. */
#include <stdio.h>
#include <stdlib.h>

#include "histogram.h"

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("%u\n", histogram_index(strtoull(argv[i], NULL, 10)));
	return 0;
}
