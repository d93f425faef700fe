"""Waiting by condition: no test sleeps for a fixed time and hopes."""
import concurrent.futures
import threading
import time


def until(condition, seconds, what, every=0.01):
    """Returns the first true value of `condition()`; fails naming `what` when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)


def unchanged(sample, seconds, limit, what, every=0.05):
    """Returns `sample()` once it has stayed the same for `seconds`; fails when that has not come after `limit` seconds."""
    deadline = time.monotonic() + limit
    last, since = sample(), time.monotonic()
    while time.monotonic() - since < seconds:
        if time.monotonic() >= deadline:
            raise AssertionError(f"still changing after {limit} s: {what}")
        time.sleep(every)
        value = sample()
        if value != last:
            last, since = value, time.monotonic()
    return last


def background(function, *args, **kwargs):
    """Runs a function in a thread; the returned future's result(timeout) gives its value or raises its exception."""
    future = concurrent.futures.Future()

    def run():
        try:
            future.set_result(function(*args, **kwargs))
        except BaseException as error:  # handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
