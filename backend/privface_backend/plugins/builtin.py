"""The engines that ship with PrivFace: one literal tuple."""

from __future__ import annotations

from typing import Final

from privface_backend.plugins.spec import EngineKind, EngineSpec

_ENGINES: Final = "privface_backend.engines"
_DEEPFACE_DETECTOR: Final = f"{_ENGINES}.detectors.deepface:create"
_DEEPFACE_RECOGNIZER: Final = f"{_ENGINES}.recognizers.deepface:create"


def _deepface_detector(
    backend: str, *needs: str, extra: str | None = None, weights: tuple[str, ...] = (), landmarks: str = "eyes"
) -> EngineSpec:
    return EngineSpec(
        kind=EngineKind.DETECTOR,
        name=f"deepface:{backend}",
        factory=_DEEPFACE_DETECTOR,
        needs=("deepface", "onnxruntime", *needs),
        extra=extra,
        weights=weights,
        arguments={"backend": backend, "landmarks": landmarks},
        summary=f"DeepFace's detector backend {backend}.",
    )


def _deepface_recognizer(
    model: str, weights: str, *needs: str, extra: str | None = None, tensorflow: str | None = None
) -> EngineSpec:
    arguments: dict[str, object] = {"model": model, "weights": weights}
    if tensorflow is not None:
        arguments["tensorflow_weights"] = tensorflow
    return EngineSpec(
        kind=EngineKind.RECOGNIZER,
        name=f"deepface:{model}",
        factory=_DEEPFACE_RECOGNIZER,
        needs=("deepface", "onnxruntime", *needs),
        extra=extra,
        weights=(weights,),
        arguments=arguments,
        summary=f"DeepFace's model {model}.",
    )


def _background(name: str, blur: str) -> EngineSpec:
    return EngineSpec(
        kind=EngineKind.ANONYMIZER,
        name=name,
        factory=f"{_ENGINES}.anonymizers.background:create",
        needs=("cv2",),
        weights=("yunet",),
        arguments={"name": name, "blur": blur},
        summary=f"All but the faces made one flat gray, then {blur}, whose parameter it is.",
    )


BUILTIN: Final[tuple[EngineSpec, ...]] = (
    EngineSpec(
        kind=EngineKind.DETECTOR,
        name="opencv:yunet",
        factory=f"{_ENGINES}.detectors.yunet:create",
        needs=("cv2",),
        weights=("yunet",),
        summary="YuNet in OpenCV: five landmarks, finds blurred faces. The default.",
    ),
    _deepface_detector("opencv"),
    _deepface_detector("yunet", weights=("yunet",)),
    _deepface_detector("ssd", weights=("ssd-prototxt", "ssd"), landmarks="none"),
    _deepface_detector("dlib", "dlib", extra="dlib", weights=("dlib-5-landmarks",)),
    _deepface_detector("mtcnn", "mtcnn", "tensorflow", extra="mtcnn"),
    _deepface_detector(
        "retinaface", "retinaface", "tensorflow", extra="tensorflow", weights=("retinaface",), landmarks="five"
    ),
    _deepface_detector("mediapipe", "mediapipe"),
    _deepface_detector("fastmtcnn", "facenet_pytorch"),
    _deepface_detector("centerface", weights=("centerface",)),
    _deepface_detector("yolov8n", "ultralytics", weights=("yolov8n-face",)),
    _deepface_detector("yolov8m", "ultralytics", weights=("yolov8m-face",)),
    _deepface_detector("yolov8l", "ultralytics", weights=("yolov8l-face",)),
    _deepface_detector("yolov11n", "ultralytics", weights=("yolov11n-face",)),
    _deepface_detector("yolov11s", "ultralytics", weights=("yolov11s-face",)),
    _deepface_detector("yolov11m", "ultralytics", weights=("yolov11m-face",)),
    _deepface_detector("yolov11l", "ultralytics", weights=("yolov11l-face",)),
    _deepface_detector("yolov12n", "ultralytics", weights=("yolov12n-face",)),
    _deepface_detector("yolov12s", "ultralytics", weights=("yolov12s-face",)),
    _deepface_detector("yolov12m", "ultralytics", weights=("yolov12m-face",)),
    _deepface_detector("yolov12l", "ultralytics", weights=("yolov12l-face",)),
    EngineSpec(
        kind=EngineKind.DETECTOR,
        name="synthetic",
        factory=f"{_ENGINES}.detectors.synthetic:create",
        summary="Finds the drawn marks of synthetic pictures; for tests and a demonstration without weights.",
    ),
    EngineSpec(
        kind=EngineKind.ALIGNER,
        name="five-point",
        factory=f"{_ENGINES}.aligners.similarity:create",
        needs=("cv2",),
        summary="Landmarks to the recognizer's own template by similarity transform. The default.",
    ),
    EngineSpec(
        kind=EngineKind.ALIGNER,
        name="deepface",
        factory=f"{_ENGINES}.aligners.deepface:create",
        needs=("deepface", "onnxruntime"),
        summary="DeepFace's own: turned until the eyes are level, cut at the detector's box.",
    ),
    _deepface_recognizer("SFace", "sface"),
    EngineSpec(
        kind=EngineKind.RECOGNIZER,
        name="opencv:sface",
        factory=f"{_ENGINES}.recognizers.sface:create",
        needs=("cv2",),
        weights=("sface",),
        summary="SFace in OpenCV: the numbers of deepface:SFace without DeepFace. Sealed mode's.",
    ),
    _deepface_recognizer("VGG-Face", "vgg-face", tensorflow="vgg-face-h5"),
    _deepface_recognizer("Facenet", "facenet", tensorflow="facenet-h5"),
    _deepface_recognizer("Facenet512", "facenet512", tensorflow="facenet512-h5"),
    _deepface_recognizer("ArcFace", "arcface", tensorflow="arcface-h5"),
    _deepface_recognizer("GhostFaceNet", "ghostfacenet", tensorflow="ghostfacenet-h5"),
    _deepface_recognizer("OpenFace", "openface", tensorflow="openface-h5"),
    _deepface_recognizer("DeepFace", "fb-deepface", tensorflow="fb-deepface-h5"),
    _deepface_recognizer("DeepID", "deepid", tensorflow="deepid-h5"),
    _deepface_recognizer("Dlib", "dlib-resnet", "dlib", extra="dlib"),
    _deepface_recognizer("Buffalo_L", "buffalo-l", "insightface"),
    EngineSpec(
        kind=EngineKind.RECOGNIZER,
        name="synthetic",
        factory=f"{_ENGINES}.recognizers.synthetic:create",
        summary="Embeds the colors of a crop; for tests and a demonstration without weights.",
    ),
    EngineSpec(
        kind=EngineKind.ANONYMIZER,
        name="gaussian",
        factory=f"{_ENGINES}.anonymizers.gaussian:create",
        needs=("cv2",),
        summary="Gaussian blur; the parameter is the odd kernel size in pixels.",
    ),
    EngineSpec(
        kind=EngineKind.ANONYMIZER,
        name="pixelate",
        factory=f"{_ENGINES}.anonymizers.pixelate:create",
        summary="Square cells of one color; the parameter is their side in pixels.",
    ),
    EngineSpec(
        kind=EngineKind.ANONYMIZER,
        name="pixelate+noise",
        factory=f"{_ENGINES}.anonymizers.noisy:create",
        summary="Square cells of one color with noise of a stated epsilon (DP-Pix); the parameter is their side.",
    ),
    _background("background", "gaussian"),
    _background("background+gaussian", "gaussian"),
    _background("background+pixelate", "pixelate"),
    _background("background+pixelate+noise", "pixelate+noise"),
    EngineSpec(
        kind=EngineKind.ANONYMIZER,
        name="none",
        factory=f"{_ENGINES}.anonymizers.clear:create",
        summary="No anonymization; the parameter is 1.",
    ),
    EngineSpec(
        kind=EngineKind.SOURCE,
        name="video",
        factory=f"{_ENGINES}.sources.video:create",
        needs=("av",),
        summary="The frames of a video, held in memory or in a file.",
    ),
    EngineSpec(
        kind=EngineKind.SOURCE,
        name="link",
        factory=f"{_ENGINES}.sources.link:create",
        needs=("av",),
        summary="A camera's address: RTSP, MJPEG over HTTP, or a snapshot.",
    ),
    EngineSpec(
        kind=EngineKind.SOURCE,
        name="webcam",
        factory=f"{_ENGINES}.sources.webcam:create",
        needs=("cv2",),
        summary="A camera of this computer, by its index.",
    ),
    EngineSpec(
        kind=EngineKind.SOURCE,
        name="folder",
        factory=f"{_ENGINES}.sources.folder:create",
        needs=("watchfiles",),
        summary="A folder that a camera uploads its pictures into, as over FTP.",
    ),
    EngineSpec(
        kind=EngineKind.SINK,
        name="mqtt",
        factory="privface_backend.mqtt.sink:create",
        needs=("aiomqtt",),
        summary="Events and states on an MQTT broker.",
    ),
    EngineSpec(
        kind=EngineKind.SINK,
        name="dht",
        factory="privface_backend.dht.sink:create",
        needs=("aiohttp",),
        summary="Events in SIFIS-Home's distributed hash table.",
    ),
    EngineSpec(
        kind=EngineKind.SINK,
        name="webhook",
        factory=f"{_ENGINES}.sinks.webhook:create",
        needs=("aiohttp",),
        summary="Signed events to web addresses of the owner's.",
    ),
    EngineSpec(
        kind=EngineKind.GALLERY,
        name="sqlite",
        factory=f"{_ENGINES}.galleries.sqlite:create",
        summary="One SQLite file. The default.",
    ),
    EngineSpec(
        kind=EngineKind.GALLERY,
        name="memory",
        factory=f"{_ENGINES}.galleries.memory:create",
        summary="Nothing is kept; for tests and trials.",
    ),
)
