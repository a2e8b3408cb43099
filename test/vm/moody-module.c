// SPDX-License-Identifier: GPL-2.0
/* A module with a mistake of one's choice, made while it is removed. */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

static char *mood = "good";
module_param(mood, charp, 0444);
MODULE_PARM_DESC(mood, "good, refuses, warns, uses-freed, leaks, or locks");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static int __init arrive(void)
{
	return strcmp(mood, "refuses") ? 0 : -ENODEV;
}

static noinline void use_freed(void)
{
	char *volatile memory = kmalloc(64, GFP_KERNEL);

	kfree(memory);
	if (memory)
		memory[3] = 1;
}

static noinline void leak(void)
{
	int i;

	/* The registers and the stack may point to the last for a while. */
	for (i = 0; i < 64; i++)
		if (!kmalloc(333, GFP_KERNEL))
			return;
}

static noinline void lock_in_both_orders(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void __exit leave(void)
{
	WARN_ON(!strcmp(mood, "warns"));
	if (!strcmp(mood, "uses-freed"))
		use_freed();
	if (!strcmp(mood, "leaks"))
		leak();
	if (!strcmp(mood, "locks"))
		lock_in_both_orders();
}

module_init(arrive);
module_exit(leave);
MODULE_DESCRIPTION("Makes a mistake");
MODULE_LICENSE("GPL");
