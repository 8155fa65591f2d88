"""HTTP and WebSocket server for asyncio: applications, routing, middlewares."""

from typing import cast

from antiphon.core import (
    WSMsgType,
)

from ._form import (
    FileField,
)
from ._lifecycle import (
    CleanupError,
)
from ._stream_response import (
    StreamResponse,
)
from .access_log import (
    AbstractAccessLogger,
    AccessLogger,
    AccessRecord,
    JSONAccessLogger,
    access_logger,
)
from .app import (
    Application,
)
from .cli import (
    main,
)
from .compression import (
    compression_middleware,
)
from .exceptions import (
    HTTPAccepted,
    HTTPBadGateway,
    HTTPBadRequest,
    HTTPClientError,
    HTTPConflict,
    HTTPCreated,
    HTTPError,
    HTTPException,
    HTTPExpectationFailed,
    HTTPFailedDependency,
    HTTPForbidden,
    HTTPFound,
    HTTPGatewayTimeout,
    HTTPGone,
    HTTPInsufficientStorage,
    HTTPInternalServerError,
    HTTPLengthRequired,
    HTTPMethodNotAllowed,
    HTTPMisdirectedRequest,
    HTTPMove,
    HTTPMovedPermanently,
    HTTPMultipleChoices,
    HTTPNetworkAuthenticationRequired,
    HTTPNoContent,
    HTTPNonAuthoritativeInformation,
    HTTPNotAcceptable,
    HTTPNotExtended,
    HTTPNotFound,
    HTTPNotImplemented,
    HTTPNotModified,
    HTTPOk,
    HTTPPartialContent,
    HTTPPaymentRequired,
    HTTPPermanentRedirect,
    HTTPPreconditionFailed,
    HTTPPreconditionRequired,
    HTTPProxyAuthenticationRequired,
    HTTPRedirection,
    HTTPRequestEntityTooLarge,
    HTTPRequestHeaderFieldsTooLarge,
    HTTPRequestRangeNotSatisfiable,
    HTTPRequestTimeout,
    HTTPRequestURITooLong,
    HTTPResetContent,
    HTTPSeeOther,
    HTTPServerError,
    HTTPServiceUnavailable,
    HTTPSuccessful,
    HTTPTemporaryRedirect,
    HTTPTooManyRequests,
    HTTPUnauthorized,
    HTTPUnavailableForLegalReasons,
    HTTPUnprocessableEntity,
    HTTPUnsupportedMediaType,
    HTTPUpgradeRequired,
    HTTPUseProxy,
    HTTPVariantAlsoNegotiates,
    HTTPVersionNotSupported,
)
from .fileresponse import (
    FileResponse,
)
from .handler import (
    PayloadAccessError,
    RequestHandler,
    RequestPayloadError,
)
from .keys import (
    AppKey,
    ChainMapProxy,
    NotAppKeyWarning,
    RequestKey,
    ResponseKey,
)
from .middlewares import (
    middleware,
    normalize_path_middleware,
)
from .options import ServerOptions
from .proxies import (
    TrustedProxies,
    trusted_proxies,
)
from .request import (
    BaseRequest,
    Request,
)
from .response import (
    ContentCoding,
    Response,
    json_bytes_response,
    json_response,
)
from .routing.abc import (
    AbstractMatchInfo,
    AbstractRouter,
    AbstractView,
)
from .routing.dispatcher import (
    UrlDispatcher,
)
from .routing.match_info import (
    UrlMappingMatchInfo,
)
from .routing.options import (
    RouteOptions,
)
from .routing.resources import (
    AbstractResource,
    DynamicResource,
    PlainResource,
    PrefixResource,
    Resource,
)
from .routing.routedef import (
    AbstractRouteDef,
    RouteDef,
    RouteTableDef,
    StaticDef,
    delete,
    get,
    head,
    options,
    patch,
    post,
    put,
    route,
    static,
    view,
)
from .routing.routes import (
    AbstractRoute,
    ResourceRoute,
    SystemRoute,
)
from .routing.static import (
    StaticResource,
)
from .routing.subapp import (
    AbstractRuleMatching,
    Domain,
    MaskDomain,
    MatchedSubAppResource,
    PrefixedSubAppResource,
)
from .routing.view import (
    View,
)
from .run import (
    run_app,
)
from .runner import (
    AppRunner,
    BaseRunner,
    GracefulExit,
    ServerRunner,
)
from .server import (
    Server,
)
from .sites import (
    BaseSite,
    NamedPipeSite,
    SockSite,
    TCPSite,
    UnixSite,
)
from .ws import (
    WebSocketReady,
    WebSocketResponse,
)


def __getattr__(name: str) -> type:
    # gunicorn is an extra, so its workers are imported when they are asked for.
    if name in {"GunicornWebWorker", "GunicornUVLoopWebWorker"}:
        from . import worker

        return cast(type, getattr(worker, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__version__ = "0.1.0"

__all__ = (
    "AbstractAccessLogger",
    "AbstractMatchInfo",
    "AbstractResource",
    "AbstractRoute",
    "AbstractRouteDef",
    "AbstractRouter",
    "AbstractRuleMatching",
    "AbstractView",
    "AccessLogger",
    "AccessRecord",
    "AppKey",
    "AppRunner",
    "Application",
    "BaseRequest",
    "BaseRunner",
    "BaseSite",
    "ChainMapProxy",
    "CleanupError",
    "ContentCoding",
    "Domain",
    "DynamicResource",
    "FileField",
    "FileResponse",
    "GracefulExit",
    "HTTPAccepted",
    "HTTPBadGateway",
    "HTTPBadRequest",
    "HTTPClientError",
    "HTTPConflict",
    "HTTPCreated",
    "HTTPError",
    "HTTPException",
    "HTTPExpectationFailed",
    "HTTPFailedDependency",
    "HTTPForbidden",
    "HTTPFound",
    "HTTPGatewayTimeout",
    "HTTPGone",
    "HTTPInsufficientStorage",
    "HTTPInternalServerError",
    "HTTPLengthRequired",
    "HTTPMethodNotAllowed",
    "HTTPMisdirectedRequest",
    "HTTPMove",
    "HTTPMovedPermanently",
    "HTTPMultipleChoices",
    "HTTPNetworkAuthenticationRequired",
    "HTTPNoContent",
    "HTTPNonAuthoritativeInformation",
    "HTTPNotAcceptable",
    "HTTPNotExtended",
    "HTTPNotFound",
    "HTTPNotImplemented",
    "HTTPNotModified",
    "HTTPOk",
    "HTTPPartialContent",
    "HTTPPaymentRequired",
    "HTTPPermanentRedirect",
    "HTTPPreconditionFailed",
    "HTTPPreconditionRequired",
    "HTTPProxyAuthenticationRequired",
    "HTTPRedirection",
    "HTTPRequestEntityTooLarge",
    "HTTPRequestHeaderFieldsTooLarge",
    "HTTPRequestRangeNotSatisfiable",
    "HTTPRequestTimeout",
    "HTTPRequestURITooLong",
    "HTTPResetContent",
    "HTTPSeeOther",
    "HTTPServerError",
    "HTTPServiceUnavailable",
    "HTTPSuccessful",
    "HTTPTemporaryRedirect",
    "HTTPTooManyRequests",
    "HTTPUnauthorized",
    "HTTPUnavailableForLegalReasons",
    "HTTPUnprocessableEntity",
    "HTTPUnsupportedMediaType",
    "HTTPUpgradeRequired",
    "HTTPUseProxy",
    "HTTPVariantAlsoNegotiates",
    "HTTPVersionNotSupported",
    "JSONAccessLogger",
    "MaskDomain",
    "MatchedSubAppResource",
    "NamedPipeSite",
    "NotAppKeyWarning",
    "PayloadAccessError",
    "PlainResource",
    "PrefixResource",
    "PrefixedSubAppResource",
    "Request",
    "RequestHandler",
    "RequestKey",
    "RequestPayloadError",
    "Resource",
    "ResourceRoute",
    "Response",
    "ResponseKey",
    "RouteDef",
    "RouteOptions",
    "RouteTableDef",
    "Server",
    "ServerOptions",
    "ServerRunner",
    "SockSite",
    "StaticDef",
    "StaticResource",
    "StreamResponse",
    "SystemRoute",
    "TCPSite",
    "TrustedProxies",
    "UnixSite",
    "UrlDispatcher",
    "UrlMappingMatchInfo",
    "View",
    "WSMsgType",
    "WebSocketReady",
    "WebSocketResponse",
    "access_logger",
    "compression_middleware",
    "delete",
    "get",
    "head",
    "json_bytes_response",
    "json_response",
    "main",
    "middleware",
    "normalize_path_middleware",
    "options",
    "patch",
    "post",
    "put",
    "route",
    "run_app",
    "static",
    "trusted_proxies",
    "view",
)
