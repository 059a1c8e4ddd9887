"""How a step is computed on this machine: the plan, the ways to run it, and the measurements that choose one."""
