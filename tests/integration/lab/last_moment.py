"""A process held in its very last moment: it has called exit, its memory is all there and nothing of it will run any more."""
import ctypes
import os
import signal
import time

from . import proc

SEIZE, CONTINUE, DETACH = 0x4206, 7, 17
OPTION_EXIT, EVENT_EXIT = 0x40, 6
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class LastMoment:
    """From now on the process, which is no child of ours, is to be held when it exits. One thread does all of it: the tracer is a thread."""

    def __init__(self, pid):
        self.pid = pid
        ptrace(SEIZE, pid, OPTION_EXIT)

    def wait(self, seconds):
        """True once it is held; False if it is gone without."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, WALL | os.WNOHANG)
            if pid == 0:
                time.sleep(0.001)
            elif not os.WIFSTOPPED(status):
                return False
            elif status >> 8 == signal.SIGTRAP | EVENT_EXIT << 8:
                return True
            else:
                event = status >> 16
                ptrace(CONTINUE, self.pid, 0 if event else os.WSTOPSIG(status))
        raise AssertionError(f"process {self.pid} does not exit within {seconds} s: {proc.state(self.pid)}")

    def release(self):
        try:
            ptrace(DETACH, self.pid)
        except ProcessLookupError:
            pass
