/* SPDX-License-Identifier: BSD-3-Clause */
/* The modules that are linked in: files, and no more. */
PLUGIN_INIT(mod_indexfile)
PLUGIN_INIT(mod_staticfile)
