"""Stack traces of every language we know: taken apart, and joined from single lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_responder.plumbing.traces import join_traces, parse_trace

PYTHON = """\
Traceback (most recent call last):
  File "/srv/shop/orders.py", line 41, in reserve
    return stock.take(item)
  File "/srv/shop/stock.py", line 17, in take
    raise KeyError(item)
KeyError: 'sku-81'"""

PYTHON_CHAINED = f"""\
{PYTHON}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/usr/lib/python3.11/runpy.py", line 88, in _run_code
    exec(code, run_globals)
  File "/srv/shop/checkout.py", line 9, in pay
    reserve(item)
shop.errors.CheckoutFailed: order 81 can't be served"""

PYTHON_GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/srv/shop/all.py", line 3, in main
  |     run()
  | ExceptionGroup: two went wrong (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/shop/one.py", line 5, in one
    |     1 / 0
    | ZeroDivisionError: division by zero
    +------------------------------------"""

JAVA = """\
Exception in thread "main" com.shop.CheckoutException: order 81 failed
\tat com.shop.Checkout.pay(Checkout.java:57)
\tat com.shop.Checkout$$Lambda$14/0x0000000800c03000.run(Unknown Source)
\tat java.base/java.lang.Thread.run(Thread.java:840)
\tSuppressed: java.io.IOException: close failed
\t\tat com.shop.Stream.close(Stream.java:5)
Caused by: com.shop.StockException: none left
\tat com.shop.Stock.take(Stock.kt:12)
\t... 2 more
Caused by: java.sql.SQLTimeoutException: no answer in 3000 ms
\tat org.postgresql.jdbc.PgStatement.execute(PgStatement.java:302)
\t... 14 common frames omitted"""

NODE = """\
/app/server.js:12
    throw new StockError('none left', { cause: err });
    ^

StockError: none left
    at take (/app/stock.js:12:11)
    at async pay (file:///app/checkout.mjs:4:3)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5) {
  code: 'E_STOCK',
  [cause]: Error: connect ECONNREFUSED 10.0.0.7:5432
      at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1494:16)
}"""

FIREFOX = """\
TypeError: order is undefined
pay@https://shop.example/static/app.js:7:21
onclick@https://shop.example/checkout:1:1"""

DOTNET = """\
Unhandled exception. Shop.CheckoutException: order 81 failed
 ---> System.TimeoutException: no answer
   at Shop.Stock.Take(String sku, Int32 count) in /src/Stock.cs:line 12
   --- End of inner exception stack trace ---
   at Shop.Checkout.Pay[T](Order order) in /src/Checkout.cs:line 57
   at Program.<Main>$(String[] args)"""

GO = """\
panic: runtime error: index out of range [5] with length 3 [recovered]
\tpanic: runtime error: index out of range [5] with length 3

goroutine 18 [running]:
testing.tRunner.func1.2({0x5042a0, 0xc000018090})
\t/usr/local/go/src/testing/testing.go:1545 +0x238
panic({0x5042a0?, 0xc000018090?})
\t/usr/local/go/src/runtime/panic.go:914 +0x21f
shop.io/checkout/stock.(*Shelf).Take(0xc00007ea80, 0x5)
\t/build/stock/shelf.go:33 +0x1d
created by main.main in goroutine 1
\t/build/main.go:9 +0x25

goroutine 1 [chan receive]:
main.main()
\t/build/main.go:12 +0x99
exit status 2"""

RUBY = """\
/srv/shop/stock.rb:12:in `take': none left (Shop::StockError)
\tfrom /srv/shop/checkout.rb:57:in `pay'
\tfrom /usr/lib/ruby/gems/3.2.0/gems/rack-3.0/lib/rack.rb:4:in `call'"""

RAILS = """\
ActiveRecord::RecordNotFound (Couldn't find Order with 'id'=81):
app/controllers/orders_controller.rb:7:in 'OrdersController#show'
app/middleware/tenant.rb:3:in 'call'"""

PHP = """\
PHP Fatal error:  Uncaught Shop\\StockException: none left in /srv/shop/Stock.php:12
Stack trace:
#0 /srv/shop/Checkout.php(57): Shop\\Stock->take('sku-81')
#1 /srv/shop/vendor/slim/slim/App.php(199): Shop\\Checkout->pay()
#2 {main}

Next Shop\\CheckoutException: order failed in /srv/shop/Checkout.php:60
Stack trace:
#0 /srv/shop/index.php(3): Shop\\Checkout->pay()
#1 {main}
  thrown in /srv/shop/Checkout.php on line 60"""

DART = """\
Unhandled exception:
Bad state: no element
#0      Shelf.take (package:shop/shelf.dart:12:5)
<asynchronous suspension>
#1      main (file:///srv/shop/bin/main.dart:4:3)
#2      _startIsolate (dart:isolate-patch/isolate_patch.dart:300)"""

RUST = """\
thread 'main' panicked at src/stock.rs:12:9:
none left
stack backtrace:
   0: rust_begin_unwind
             at /rustc/90b35a6239c3d8bdabc530a6a0816f7ff89a0aaf/library/std/src/panicking.rs:645:5
   1: shop::stock::Shelf::take
             at ./src/stock.rs:12:9
   2: shop::main::h0123456789abcdef
             at ./src/main.rs:4:5
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace."""

CPP = """\
terminate called after throwing an instance of 'std::out_of_range'
  what():  vector::_M_range_check
#0  0x00007f2a5c0a in raise () from /lib/x86_64-linux-gnu/libc.so.6
#1  0x0000000000401156 in Shelf::take (this=0x7ffd, n=5) at stock.cpp:12
#2  0x0000000000401200 in main () at main.cpp:4"""

SANITIZER = """\
==81==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010 at pc 0x4f
    #0 0x4f1a2b in Shelf::take(int) /src/stock.cpp:12:5
    #1 0x4f1c00 in main /src/main.cpp:4:3"""

KNOWN = [
    pytest.param(PYTHON, "python", "KeyError", (), "take", id="python"),
    pytest.param(PYTHON_CHAINED, "python", "shop.errors.CheckoutFailed", ("KeyError",), "take", id="python-chained"),
    pytest.param(PYTHON_GROUP, "python", "ExceptionGroup", ("ZeroDivisionError",), "one", id="python-group"),
    pytest.param(
        JAVA,
        "java",
        "com.shop.CheckoutException",
        ("com.shop.StockException", "java.sql.SQLTimeoutException"),
        "com.shop.Stock.take",
        id="java",
    ),
    pytest.param(NODE, "javascript", "StockError", ("Error",), "take", id="node"),
    pytest.param(FIREFOX, "javascript", "TypeError", (), "pay", id="firefox"),
    pytest.param(
        DOTNET, "dotnet", "Shop.CheckoutException", ("System.TimeoutException",), "Shop.Stock.Take", id="dotnet"
    ),
    pytest.param(GO, "go", "panic", (), "shop.io/checkout/stock.(*Shelf).Take", id="go"),
    pytest.param(RUBY, "ruby", "Shop::StockError", (), "take", id="ruby"),
    pytest.param(RAILS, "ruby", "ActiveRecord::RecordNotFound", (), "OrdersController#show", id="rails"),
    pytest.param(PHP, "php", "Shop\\CheckoutException", ("Shop\\StockException",), "", id="php"),
    pytest.param(DART, "dart", "StateError", (), "Shelf.take", id="dart"),
    pytest.param(RUST, "rust", "panic", (), "shop::stock::Shelf::take", id="rust"),
    pytest.param(CPP, "cpp", "std::out_of_range", (), "Shelf::take", id="cpp"),
    pytest.param(SANITIZER, "cpp", "heap-use-after-free", (), "Shelf::take", id="sanitizer"),
]
TEXTS = [
    "",
    "All is well.\nWe meet at noon (in the yard).\n  at least we try\n",
    "Shopping list\n#1 milk\n#2 bread",
    "Error: 3 files failed\nsee the report\n\nerror log attached",
    "connection from 10.0.0.1 at 12:30:01\nconnection closed",
    "INFO panicked at nothing, went on\nnext line",
]
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "traces"


@pytest.mark.parametrize(("text", "language", "error_type", "causes", "first_own"), KNOWN)
def test_a_trace_says_what_was_thrown_why_and_where(
    text: str, language: str, error_type: str, causes: tuple[str, ...], first_own: str
) -> None:
    trace = parse_trace(text)
    assert trace is not None
    own = [frame.function for frame in trace.frames if frame.in_app]
    assert (trace.language, trace.error_type, trace.causes, own[0]) == (language, error_type, causes, first_own)


@pytest.mark.parametrize(("text", "language", "error_type", "causes", "first_own"), KNOWN)
def test_a_trace_is_found_within_other_text_and_with_written_line_ends(
    text: str, language: str, error_type: str, causes: tuple[str, ...], first_own: str
) -> None:
    inside = parse_trace(f"2031-04-01 12:00:00 ERROR checkout failed\n{text}\n")
    written = parse_trace(text.replace("\n", "\\n").replace("\t", "\\t"))
    assert inside is not None
    assert (inside.language, inside.error_type, inside.causes) == (language, error_type, causes)
    assert written == parse_trace(text)


@pytest.mark.parametrize(("text", "language", "error_type", "causes", "first_own"), KNOWN)
def test_single_lines_are_joined_to_one_event_between_ordinary_lines(
    text: str, language: str, error_type: str, causes: tuple[str, ...], first_own: str
) -> None:
    lines = ["2031-04-01 12:00:00 started", *text.split("\n"), "2031-04-01 12:00:01 went on"]
    events = list(join_traces(lines))
    assert "\n".join(events).split("\n") == lines
    assert text.split("\n", 4)[-1] in events[-2]
    assert len(events) == 3


@pytest.mark.parametrize("text", TEXTS)
def test_ordinary_text_is_no_trace_and_stays_line_by_line(text: str) -> None:
    assert parse_trace(text) is None
    assert list(join_traces(text.split("\n"))) == text.split("\n")


def test_two_traces_in_a_row_are_two_events() -> None:
    events = list(join_traces([*PYTHON.split("\n"), *PYTHON.split("\n"), *RUBY.split("\n"), *DART.split("\n")]))
    assert events == [PYTHON, PYTHON, RUBY, DART]


def test_frames_of_libraries_are_not_ours() -> None:
    trace = parse_trace(JAVA)
    assert trace is not None
    assert {frame.function.rpartition(".")[2] for frame in trace.frames if not frame.in_app} == {"execute", "run"}


@pytest.mark.skipif(not SHARED.is_dir(), reason="measured with public data beside the repository")
def test_public_traces_are_one_event_each() -> None:
    for path in SHARED.glob("*.txt"):
        text = path.read_text().rstrip("\n")
        is_trace = path.name != "arbitrary_text.txt"
        assert (parse_trace(text) is not None) == is_trace, path.name
        assert (len(list(join_traces(text.split("\n")))) == 1) == is_trace, path.name
