#!/bin/sh
# In a guest: run programs one after another, and say what came of each. programs.ts starts it and reads what it says.
#
#	run-programs.sh MARK SECONDS < list
#
# A line of the list is a program's name and, after a tab, a command of the shell. The output is parted by lines that
# begin with MARK. A program that leaves something of the module in use has failed, whatever it says itself; those after
# it aren't blamed for that.

mark=$1
seconds=$2
output=/tmp/run-programs.output
exit_left_over=70

# What of the module is in use; nothing where it isn't loaded.
in_use() {
	[ -e /sys/module/megapipe/refcnt ] || return 0
	read -r users < /sys/module/megapipe/refcnt
	[ "$users" = 0 ] || echo "left over: the module is used, $users times"
	# the allocator counts what a CPU keeps for itself, unless it is told to give it back
	for shrink in /sys/kernel/slab/megapipe*/shrink; do
		[ -e "$shrink" ] && echo 1 > "$shrink"
	done
	while read -r cache objects _; do
		case $cache in
		megapipe*) [ "$objects" = 0 ] || echo "left over: $objects objects of $cache" ;;
		esac
	done < /proc/slabinfo
}

# The kernel may take its time to free what nobody uses.
in_use_for_good() {
	tries=0
	while [ "$(in_use)" != "$in_use_before" ] && [ $tries -lt 100 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	in_use
}

tab=$(printf '\t')
in_use_before=$(in_use)
while IFS=$tab read -r name command; do
	echo "$mark begin $name"
	echo "megapipe test: $name" > /dev/kmsg
	timeout --kill-after=10 "$seconds" sh -c "$command" > $output 2>&1 < /dev/null
	status=$?
	in_use=$(in_use_for_good)
	cat $output
	if [ "$in_use" != "$in_use_before" ]; then
		printf '\n%s\n' "$in_use"
		status=$exit_left_over
		in_use_before=$in_use
	fi
	printf '\n%s end %s\n' "$mark" "$status"
done
