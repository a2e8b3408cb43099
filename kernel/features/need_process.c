// SPDX-License-Identifier: GPL-2.0
/* learning of a process's end: CONFIG_MMU_NOTIFIER, as CONFIG_KVM brings it */
#include <linux/mmu_notifier.h>
#ifndef CONFIG_MMU_NOTIFIER
#error "no CONFIG_MMU_NOTIFIER"
#endif

int mp_need(struct mmu_notifier *notifier, struct mm_struct *mm);
int mp_need(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	static const struct mmu_notifier_ops ops;

	notifier->ops = &ops;
	return mmu_notifier_register(notifier, mm);
}
