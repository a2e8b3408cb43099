// SPDX-License-Identifier: GPL-2.0
/*
 * MegaPipe: channels between processes and the kernel for message-oriented
 * network I/O, behind /dev/megapipe. See uapi/megapipe.h.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "channel.h"

module_param_named(lwsocket_file, mp_lwsocket_file, bool, 0444);
MODULE_PARM_DESC(lwsocket_file,
		 "give every lwsocket a file, for rules that look for it");

static struct miscdevice mp_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "megapipe",
	.fops = &mp_device_fops,
	/* Who may use it is the administrator's choice: see the udev rule. */
	.mode = 0600,
};

static int __init mp_init(void)
{
	int ret;

	ret = mp_handles_init();
	if (ret)
		return ret;
	ret = mp_lwsockets_init();
	if (ret)
		goto err_lwsockets;
	ret = misc_register(&mp_device);
	if (ret)
		goto err_device;
	return 0;

err_device:
	mp_lwsockets_exit();
err_lwsockets:
	mp_handles_exit();
	return ret;
}

static void __exit mp_exit(void)
{
	misc_deregister(&mp_device);
	mp_lwsockets_exit();
	mp_handles_exit();
}

module_init(mp_init);
module_exit(mp_exit);

MODULE_DESCRIPTION("MegaPipe: channels for message-oriented network I/O");
MODULE_AUTHOR("The MegaPipe kit's developers");
MODULE_LICENSE("GPL");
