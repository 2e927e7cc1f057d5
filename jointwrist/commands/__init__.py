"""The commands, one file each: its arguments, and the function that runs it.

Each imports what it needs when it runs, so that `jointwrist --help` is quick.
"""
