"""The published data sets: where they come from and where their files lie."""

from __future__ import annotations

from neurodyn.data.archive import Archive, Source

MNIST = Source(
    title="MNIST",
    licence="CC BY-SA 3.0",
    folder="MNIST/raw",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    archives=(
        Archive("train-images-idx3-ubyte.gz", "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        Archive("train-labels-idx1-ubyte.gz", "md5:d53e105ee54ea40749a09fcbcd1e9432"),
        Archive("t10k-images-idx3-ubyte.gz", "md5:9fb629c4189551a2d022fa330f9573f3"),
        Archive("t10k-labels-idx1-ubyte.gz", "md5:ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    md5={
        "train-images-idx3-ubyte": ("6bbc9ace898e44ae57da46a324031adb", 47_040_000),
        "train-labels-idx1-ubyte": ("a25bea736e30d166cdddb491f175f624", 60_000),
        "t10k-images-idx3-ubyte": ("2646ac647ad5339dbf082846283269ea", 7_840_000),
        "t10k-labels-idx1-ubyte": ("27ae3e4e09519cfbb04c329615203637", 10_000),
    },
)

FASHION_MNIST = Source(
    title="Fashion-MNIST",
    licence="MIT",
    folder="FashionMNIST/raw",
    mirrors=(
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    archives=(
        Archive("train-images-idx3-ubyte.gz", "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        Archive("train-labels-idx1-ubyte.gz", "md5:25c81989df183df01b3e8a0aad5dffbe"),
        Archive("t10k-images-idx3-ubyte.gz", "md5:bef4ecab320f06d8554ea6380940ec79"),
        Archive("t10k-labels-idx1-ubyte.gz", "md5:bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    md5={
        "train-images-idx3-ubyte": ("f4a8712d7a061bf5bd6d2ca38dc4d50a", 47_040_000),
        "train-labels-idx1-ubyte": ("9018921c3c673c538a1fc5bad174d6f9", 60_000),
        "t10k-images-idx3-ubyte": ("8181f5470baa50b63fa0f6fddb340f0a", 7_840_000),
        "t10k-labels-idx1-ubyte": ("15d484375f8d13e6eb1aabb0c3f46965", 10_000),
    },
)

CIFAR10 = Source(
    title="CIFAR-10",
    licence="not stated (Krizhevsky 2009)",
    folder="cifar-10-batches-py",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    archives=(
        Archive(
            "cifar-10-python.tar.gz",
            "md5:c58f30108f718f92721af3b95e74349a",
            (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"),
        ),
    ),
    md5={
        "data_batch_1": ("c99cafc152244af753f735de768cd75f", 30_720_000),
        "data_batch_2": ("d4bba439e000b95fd0a9bffe97cbabec", 30_720_000),
        "data_batch_3": ("54ebc095f3ab1f0389bbae665268c751", 30_720_000),
        "data_batch_4": ("634d18415352ddfa80567beed471001a", 30_720_000),
        "data_batch_5": ("482c414d41f54cd18b22e5b47cb7c3cb", 30_720_000),
        "test_batch": ("40351d587109b95175f43aff81a1287e", 30_720_000),
    },
)

CIFAR100 = Source(
    title="CIFAR-100",
    licence="not stated (Krizhevsky 2009)",
    folder="cifar-100-python",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    archives=(
        Archive(
            "cifar-100-python.tar.gz",
            "md5:eb9058c3a382ffc7106e4002c42a8d85",
            ("train", "test"),
        ),
    ),
    md5={
        "train": ("16019d7e3df5f24257cddd939b257f8d", 153_600_000),
        "test": ("f0ef6b0ae62326f3e7ffdfab6717acfc", 30_720_000),
    },
)

SHD = Source(
    title="SHD",
    licence="CC BY 4.0",
    folder="SHD",
    mirrors=("https://zenkelab.org/datasets/",),
    archives=(
        Archive("shd_train.h5.zip", "md5:f3252aeb598ac776c1b526422d90eecb", ("shd_train.h5",)),
        Archive("shd_test.h5.zip", "md5:1503a5064faa34311c398fb0a1ed0a6f", ("shd_test.h5",)),
    ),
)

SSC = Source(
    title="SSC",
    licence="CC BY 4.0",
    folder="SSC",
    mirrors=("https://zenkelab.org/datasets/",),
    archives=(
        Archive("ssc_train.h5.zip", "md5:d102be95e7144fcc0553d1f45ba94170", ("ssc_train.h5",)),
        Archive("ssc_valid.h5.zip", "md5:b4eee3516a4a90dd0c71a6ac23a8ae43", ("ssc_valid.h5",)),
        Archive("ssc_test.h5.zip", "md5:a35ff1e9cffdd02a20eb850c17c37748", ("ssc_test.h5",)),
    ),
)

SPOKEN_DIGITS = Source(
    title="Free Spoken Digit Dataset",
    licence="CC BY-SA 4.0",
    folder="free-spoken-digit-dataset/recordings",
    advice="Get https://github.com/Jakobovski/free-spoken-digit-dataset into the root.",
)

SPOKEN_DIGIT_SPIKES = Source(
    title="Spoken digits as spikes",
    licence="CC BY-SA 4.0",
    folder="fsdd_spikes",
    advice="These are the Free Spoken Digit Dataset's recordings turned to spikes by the cochlea "
    "model that made SHD (lauscher), in SHD's layout; SpokenDigits makes spikes of the recordings.",
)

NMNIST = Source(
    title="N-MNIST",
    licence="CC BY-SA 4.0",
    folder="NMNIST",
    advice="Get Train.zip and Test.zip from https://www.garrickorchard.com/datasets/n-mnist and "
    "unpack them there.",
)

CIFAR10DVS = Source(
    title="CIFAR10-DVS",
    licence="CC BY 4.0",
    folder="CIFAR10DVS",
    advice="Get https://figshare.com/ndownloader/files/38023437 (AEDAT 4, Tonic's) and unpack it "
    "and the archives in it there.",
)

DVS_GESTURE = Source(
    title="DVS128 Gesture",
    licence="CC BY 4.0",
    folder="DVSGesture",
    advice="Get https://figshare.com/ndownloader/files/38022171 (ibmGestureTrain.tar.gz) and "
    "https://figshare.com/ndownloader/files/38020584 (ibmGestureTest.tar.gz) and unpack them "
    "there.",
)

IMAGENET = Source(
    title="ImageNet",
    licence="research only, image-net.org",
    folder="imagenet",
    advice="Get ILSVRC 2012 from https://image-net.org, unpack its training images as "
    "train/<wnid>/*.JPEG and its validation images as val/<wnid>/*.JPEG.",
)

NTIDIGITS = Source(
    title="N-TIDIGITS18",
    licence="on request",
    folder="NTIDIGITS",
    advice="https://docs.google.com/document/d/1Uxe7GsKKXcy6SlDUX4hoJVAC0-UkH-8kr5UXp0Ndi1M leads "
    "to n-tidigits.hdf5; put it there.",
)

QTDB = Source(
    title="QT Database",
    licence="ODC-By 1.0",
    folder="qtdb",
    advice="QTDB_train.mat and QTDB_test.mat come with the code of Yin et al. (2021), "
    "https://github.com/byin-cwi/Efficient-spiking-networks; put them there. The recordings are at "
    "https://physionet.org/content/qtdb.",
)
