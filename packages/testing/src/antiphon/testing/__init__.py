"""pytest plugin, test server and test client for antiphon.

The fixtures are in `antiphon.testing.pytest_plugin`, which pytest finds by itself.
"""

from ._runner import (
    TestTimeoutError,
)
from .case import (
    AioHTTPTestCase,
    loop_context,
    setup_test_loop,
    teardown_test_loop,
    unittest_run_loop,
)
from .client import (
    TestClient,
)
from .clock import (
    DeadlockError,
    VirtualClock,
    VirtualClockLoop,
)
from .faults import (
    FaultPlan,
    Faults,
)
from .leaks import (
    BlockedLoopReporter,
    Leak,
    LeakGuard,
)
from .memory import (
    MemoryConnector,
)
from .mocks import (
    make_mocked_coro,
    make_mocked_request,
)
from .ports import (
    get_port_socket,
    get_unused_port_socket,
    unused_port,
)
from .scripted import (
    ScriptedPeer,
    ScriptedServer,
)
from .server import (
    BaseTestServer,
    RawTestServer,
    TestServer,
)
from .transport import (
    MemoryListener,
    MemoryTransport,
)

__version__ = "0.1.0"

__all__ = (
    "AioHTTPTestCase",
    "BaseTestServer",
    "BlockedLoopReporter",
    "DeadlockError",
    "FaultPlan",
    "Faults",
    "Leak",
    "LeakGuard",
    "MemoryConnector",
    "MemoryListener",
    "MemoryTransport",
    "RawTestServer",
    "ScriptedPeer",
    "ScriptedServer",
    "TestClient",
    "TestServer",
    "TestTimeoutError",
    "VirtualClock",
    "VirtualClockLoop",
    "get_port_socket",
    "get_unused_port_socket",
    "loop_context",
    "make_mocked_coro",
    "make_mocked_request",
    "setup_test_loop",
    "teardown_test_loop",
    "unittest_run_loop",
    "unused_port",
)
