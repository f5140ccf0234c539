"""``ddrm-edu evaluate``: restoration measured over held-out images, by any number of processes.

``grid`` names the cells, ``held_out`` the images, ``running`` computes, ``scoring`` measures, and
``tables`` writes.
"""
