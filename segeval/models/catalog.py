"""The registered networks. Figures are those their authors report unless said otherwise."""

from segeval.classes import CAMVID, CITYSCAPES
from segeval.models.spec import ModelSpec, Preprocessing, WeightsFile

ESPNET_PAPER = "https://arxiv.org/abs/1803.06815"
ESPNET_SOURCE = "github.com/sacmehta/ESPNet, pretrained/decoder, commit afe71c38"
ESPNETV2_PAPER = "https://arxiv.org/abs/1811.11431"
DICENET_PAPER = "https://arxiv.org/abs/1906.03516"
FAST_SCNN_PAPER = "https://arxiv.org/abs/1902.04502"

IMAGENET = Preprocessing(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))

ESPNET_CAMVID = ModelSpec(
    name="espnet-camvid",
    builder="segeval.models.espnet:build",
    outputs=(*CAMVID.names, "Unlabelled"),
    table=CAMVID,
    # The authors divide by the standard deviation and by 255 again.
    preprocessing=Preprocessing(
        mean=(105.03319369, 108.40886315, 110.33102643),
        std=(69.90434816 * 255, 72.69074534 * 255, 72.12571015 * 255),
        bgr=True,
        resize="opencv",
    ),
    multiple_of=8,
    size=(360, 480),
    weights=WeightsFile(
        "espnet_p_2_q_8_camvid.pth",
        "7d354a257170322086dcd4c1e89a482454cf2c9d30b085e70883878dd59301af",
        ESPNET_SOURCE,
    ),
    licence="MIT",
    paper=ESPNET_PAPER,
    reported={"mIoU": 0.5564, "class average": 0.6830},
)

ESPNET_CITYSCAPES = ModelSpec(
    name="espnet-cityscapes",
    builder="segeval.models.espnet:build",
    outputs=(*CITYSCAPES.names, "background"),
    table=CITYSCAPES,
    preprocessing=Preprocessing(
        mean=(73.15840149, 82.90893555, 72.3923111),
        std=(44.91483307 * 255, 46.15289307 * 255, 45.3192215 * 255),
        bgr=True,
        resize="opencv",
    ),
    multiple_of=8,
    size=(512, 1024),
    weights=WeightsFile(
        "espnet_p_2_q_8.pth",
        "343b0e77e8545d36113c4f3efbf1ee349256f25c97c9f9d5ddefe45f2f49763e",
        ESPNET_SOURCE,
    ),
    licence="MIT",
    paper=ESPNET_PAPER,
    reported={"mIoU (Cityscapes test)": 0.603},
)

ESPNETV2_CITYSCAPES = ModelSpec(
    name="espnetv2-cityscapes",
    builder="segeval.models.espnetv2:build",
    outputs=(*CITYSCAPES.names, "background"),
    table=CITYSCAPES,
    preprocessing=IMAGENET,
    multiple_of=16,
    size=(512, 1024),
    weights=WeightsFile(
        "espnetv2_s_1.0_city_1024x512.pth",
        "0918c833fed889e32901ce739b1784fdd2b79f95a9aea199a469ca3394dd7a14",
        "github.com/sacmehta/EdgeNets, model/segmentation/model_zoo/espnetv2, commit 2b232d3f",
    ),
    licence="MIT",
    paper=ESPNETV2_PAPER,
    reported={"mIoU (Cityscapes val)": 0.601},
)

DICENET_CITYSCAPES = ModelSpec(
    name="dicenet-cityscapes",
    builder="segeval.models.dicenet:build",
    outputs=(*CITYSCAPES.names, "background"),
    table=CITYSCAPES,
    preprocessing=IMAGENET,
    multiple_of=16,
    size=(512, 1024),
    weights=WeightsFile(
        "dicenet_s_1.0_city_1024x512.pth",
        "a39f14b24dc0ca536c37911473b503bb199f08868ed0d1179bc330b84100b9d2",
        "github.com/sacmehta/EdgeNets, model/segmentation/model_zoo/dicenet, commit 2b232d3f",
    ),
    licence="MIT",
    paper=DICENET_PAPER,
    reported={"mIoU (Cityscapes val)": 0.609},
)

FAST_SCNN_CITYSCAPES = ModelSpec(
    name="fast-scnn-cityscapes",
    builder="segeval.models.fast_scnn:build_unaligned",
    training_only=("auxlayer.",),
    outputs=CITYSCAPES.names,
    table=CITYSCAPES,
    preprocessing=IMAGENET,
    multiple_of=32,
    size=(1024, 2048),
    weights=None,
    licence="that of the weights you give",
    paper=FAST_SCNN_PAPER,
    reported={"mIoU (Cityscapes val)": 0.686},
)

ESPNET_SYNTHETIC = ModelSpec(
    name="espnet-synthetic",
    builder="segeval.models.espnet:build_shallow",
    outputs=CITYSCAPES.names,
    table=CITYSCAPES,
    preprocessing=IMAGENET,
    multiple_of=8,
    size=(256, 512),
    weights=WeightsFile(
        "espnet-synthetic.safetensors",
        "fe08ef3bf67ce47be6e2370c56c1d21176e483d3970caef5bc9dcf3eaad0f1e9",
        "docs/training.md",
        bundled=True,
    ),
    licence="MIT",
    paper=ESPNET_PAPER,
)

FAST_SCNN_CAMVID = ModelSpec(
    name="fast-scnn-camvid",
    builder="segeval.models.fast_scnn:build",
    training_only=("auxlayer.",),
    outputs=CAMVID.names,
    table=CAMVID,
    preprocessing=IMAGENET,
    multiple_of=8,
    size=(360, 480),
    weights=WeightsFile(
        "fast-scnn-camvid.safetensors",
        "19bc405bcbe12f0bb8cab6f645755974c443d74d71ef13597d55ffad58740d0e",
        "docs/training.md",
        bundled=True,
    ),
    licence="MIT; trained on CamVid, CC BY-NC 4.0",
    paper=FAST_SCNN_PAPER,
)

FAST_SCNN_SYNTHETIC = ModelSpec(
    name="fast-scnn-synthetic",
    builder="segeval.models.fast_scnn:build",
    training_only=("auxlayer.",),
    outputs=CITYSCAPES.names,
    table=CITYSCAPES,
    preprocessing=IMAGENET,
    multiple_of=32,
    size=(256, 512),
    weights=WeightsFile(
        "fast-scnn-synthetic.safetensors",
        "05c944779dc20f4ff8cad9dcbe968c68bb2ad1e4624e014573ffe6093a3a37e3",
        "docs/training.md",
        bundled=True,
    ),
    licence="MIT",
    paper=FAST_SCNN_PAPER,
)
