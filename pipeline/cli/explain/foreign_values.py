"""What PyTorch, Keras, scikit-learn, Optuna and others call an option or a value, and what is nearest."""

INT8 = "precision=int8"
"""A precision that answers have, and no training."""

VALUE_ALIASES = {
    "precision": {
        **dict.fromkeys(
            ("fp16", "half", "float16", "f16", "amp", "16", "16_mixed", "mixed", "o1"), "mixed_float16"
        ),
        **dict.fromkeys(("16_true", "mixed_fp16", "float16_mixed", "torch.float16"), "mixed_float16"),
        **dict.fromkeys(
            ("bf16", "bfloat16", "bf16_mixed", "bf16_true", "mixed_bf16", "torch.bfloat16"), "mixed_bfloat16"
        ),
        **dict.fromkeys(
            ("32", "32_true", "fp32", "f32", "full", "single", "float", "torch.float32"), "float32"
        ),
        **dict.fromkeys(("tf32", "high", "highest", "medium"), "float32"),
        **dict.fromkeys(("64", "fp64", "f64", "double", "64_true", "torch.float64"), "float64"),
    },
    "optimizer": {
        "adamw": "adam optimizer.weight_decay=0.01",
        "momentum": "sgd optimizer.momentum=0.9",
        "nesterov": "sgd optimizer.momentum=0.9 optimizer.nesterov=true",
        "gd": "sgd",
        "sgdm": "sgd optimizer.momentum=0.9",
        "lazyadam": "adam optimizer.sparse=true",
        "sparseadam": "adam optimizer.sparse=true",
    },
    "model": {
        **dict.fromkeys(
            ("perceptron", "dense", "fc", "ffn", "feedforward", "sequential", "mlpclassifier", "nn", "dnn"),
            "mlp",
        ),
        **dict.fromkeys(
            ("convnet", "conv", "conv2d", "convolutional", "lenet", "lenet5", "simplecnn"), "cnn"
        ),
        **dict.fromkeys(("linear", "logistic", "logistic_regression", "softmax"), "mlp model.layers=0"),
    },
    "loss": {
        **dict.fromkeys(
            ("ce", "categorical_crossentropy", "crossentropy", "nll", "nll_loss", "log_loss", "logloss"),
            "cross_entropy",
        ),
        **dict.fromkeys(
            ("sparse_categorical_crossentropy", "crossentropyloss", "cross_entropy_loss", "softmax"),
            "cross_entropy",
        ),
        **dict.fromkeys(
            ("nllloss", "categoricalcrossentropy", "sparsecategoricalcrossentropy", "deviance"),
            "cross_entropy",
        ),
        **dict.fromkeys(
            ("bce", "binary_crossentropy", "bcewithlogits", "bcewithlogitsloss", "bceloss", "sigmoid"),
            "binary_cross_entropy model.output=sigmoid",
        ),
        **dict.fromkeys(("binarycrossentropy", "binary"), "binary_cross_entropy model.output=sigmoid"),
        **dict.fromkeys(("mse", "l2", "mseloss", "squared_error", "meansquarederror"), "mean_squared_error"),
        **dict.fromkeys(
            ("mae", "l1", "l1loss", "absolute_error", "meanabsoluteerror"), "mean_absolute_error"
        ),
        **dict.fromkeys(("smooth_l1", "smoothl1loss", "huberloss", "huber_loss"), "huber"),
    },
    "device": {
        **dict.fromkeys(("cuda", "rocm", "nvidia", "hip", "/gpu:0", "true"), "gpu"),
        **dict.fromkeys(("x86", "host", "/cpu:0", "cpu:0", "none", "false"), "cpu"),
        **dict.fromkeys(("best", "default", "any"), "auto"),
    },
    "schedule": {
        **dict.fromkeys(
            (
                "cosine_annealing",
                "cosineannealing",
                "cosineannealinglr",
                "cosine_decay",
                "cosinedecay",
                "cosine_with_restarts",
                "cosineannealingwarmrestarts",
                "cos",
            ),
            "cosine",
        ),
        **dict.fromkeys(("none", "const", "fixed", "constantlr", "off", "false", "null"), "constant"),
        **dict.fromkeys(
            ("onecycle", "onecyclelr", "one_cycle", "linear", "linearlr", "warmup", "linear_warmup"),
            "warmup_linear",
        ),
    },
    "augment": {
        **dict.fromkeys(("true", "on", "yes", "random", "translate", "randomtranslation"), "shift"),
        **dict.fromkeys(("random_crop", "randomcrop", "randomresizedcrop", "zoom"), "crop"),
        **dict.fromkeys(
            ("horizontal_flip", "hflip", "randomflip", "random_flip", "randomhorizontalflip", "mirror"),
            "flip",
        ),
        **dict.fromkeys(("rotation", "randomrotation", "random_rotation"), "rotate"),
        **dict.fromkeys(("false", "off", "no", "null"), "none"),
    },
    "engine": {
        **dict.fromkeys(("tf", "tensorflow", "eager", "function", "tf.function", "compiled"), "graph"),
        **dict.fromkeys(("jit", "jax"), "xla"),
        **dict.fromkeys(("fit", "python"), "keras"),
    },
    "trial": {
        **dict.fromkeys(
            ("pytorch", "torch", "jax", "sklearn", "scikit-learn", "xgboost", "lightgbm", "python"),
            "function trial.call=package.module:function",
        ),
        **dict.fromkeys(("script", "shell", "bash", "program"), "command trial.command=./train.sh"),
        **dict.fromkeys(("keras", "tensorflow", "net"), "network"),
    },
    "search": {
        **dict.fromkeys(("fast", "short", "tiny"), "quick"),
        **dict.fromkeys(("full", "default"), "standard"),
        "test": "smoke",
    },
    "pruning": {
        **dict.fromkeys(
            (
                "median",
                "medianpruner",
                "hyperband",
                "hyperbandpruner",
                "asha",
                "successive_halving",
                "true",
                "successivehalvingpruner",
                "on",
                "percentile",
                "threshold",
                "patient",
                "wilcoxon",
            ),
            "pause",
        ),
        **dict.fromkeys(("nop", "noppruner", "off", "false", "no", "null"), "none"),
    },
    "data": {
        **dict.fromkeys(
            ("table", "tsv", "xlsx", "excel", "parquet", "dataframe", "pandas", "tabular"), "csv"
        ),
        **dict.fromkeys(("images", "imagefolder", "image"), "image_folder"),
        **dict.fromkeys(("audio", "wav", "sounds", "audiofolder"), "audio_folder"),
        **dict.fromkeys(("texts", "textfolder"), "text_folder"),
        **dict.fromkeys(("numpy", "npz", "npy", "np"), "arrays"),
        **dict.fromkeys(("huggingface", "hf", "hub"), "datasets"),
        **dict.fromkeys(("tensorflow_datasets",), "tfds"),
    },
    "model.activation": {
        **dict.fromkeys(("logistic", "logsig"), "sigmoid"),
        **dict.fromkeys(("tansig",), "tanh"),
        **dict.fromkeys(("nn.relu", "rectifier", "relu6"), "relu"),
    },
    "model.init": {
        **dict.fromkeys(("he_normal", "he_uniform", "kaiming", "kaiming_normal", "kaiming_uniform"), "he"),
        **dict.fromkeys(("glorot_uniform", "glorot_normal", "xavier", "xavier_uniform", "default"), "glorot"),
    },
    "search.sampler": {
        **dict.fromkeys(
            ("bayes", "bayesian", "bo", "default", "auto", "bohb", "smac", "hyperband", "optuna"), "frontier"
        ),
        **dict.fromkeys(("tpesampler", "hyperopt"), "tpe"),
        **dict.fromkeys(("randomsampler", "random_search", "randomized"), "random"),
        **dict.fromkeys(("gridsampler", "grid_search", "gridsearch"), "grid"),
        **dict.fromkeys(("nsgaiisampler", "nsga", "nsga_ii", "genetic", "evolution"), "nsga2"),
        **dict.fromkeys(("gpsampler", "gaussian_process"), "gp"),
        **dict.fromkeys(("qmcsampler", "sobol", "halton"), "qmc"),
    },
    "search.objective": {
        **dict.fromkeys(
            ("acc", "val_acc", "val_accuracy", "val_loss", "loss", "sparse_categorical_accuracy", "acc1"),
            "accuracy",
        ),
        **dict.fromkeys(("error", "top1", "precision", "recall", "validation_accuracy"), "accuracy"),
        **dict.fromkeys(("f1_score", "f1_macro", "macro_f1"), "f1"),
        **dict.fromkeys(("roc_auc", "auroc", "val_auc"), "auc"),
        **dict.fromkeys(("bal_acc", "balanced_acc"), "balanced_accuracy"),
    },
    "loss.class_weights": {**dict.fromkeys(("true", "auto", "balance"), "balanced"), "false": "none"},
    "preprocess.standardise": {
        **dict.fromkeys(("standard", "standardscaler", "zscore", "per_feature"), "feature"),
        **dict.fromkeys(("global",), "overall"),
        **dict.fromkeys(("false", "off", "no"), "none"),
    },
}
"""What others call an option of a group or a value of a setting, and the words that say it here."""

NEAREST = {
    "optimizer": (
        "adam",
        "rmsprop adagrad adadelta nadam adamax radam lion lamb ftrl lbfgs muon novograd adafactor shampoo",
    ),
    "model": (
        "cnn",
        "resnet resnet18 resnet34 resnet50 vgg vgg16 vgg19 efficientnet efficientnet_b0 mobilenet unet "
        "densenet inception alexnet convnext vit mobilenet_v2 mobilenet_v3 xception squeezenet wideresnet",
    ),
    "schedule": (
        "cosine",
        "step steplr multistep multisteplr exponential exponentiallr exponential_decay plateau polynomial "
        "reduce_on_plateau reducelronplateau cyclic cycliclr inverse_sqrt poly invscaling adaptive lambdalr",
    ),
    "device": ("auto", "tpu mps metal npu xpu hpu ipu xla vulkan opencl directml neuron tpu_v4"),
    "precision": ("mixed_bfloat16", "fp8 float8 int4 fp4 nf4 uint8"),
    "loss": ("cross_entropy", "hinge focal focal_loss kl_div kldiv triplet ctc poisson contrastive"),
    "augment": (
        "shift",
        "mixup cutmix cutout randaugment autoaugment colorjitter color_jitter trivialaugment",
    ),
    "model.activation": (
        "relu",
        "gelu silu swish elu selu leaky_relu leakyrelu mish prelu softplus hard_swish softmax linear",
    ),
    "cluster": ("ray", "slurm kubernetes k8s kuberay dask spark pbs lsf joblib submitit"),
    "search.sampler": ("frontier", "cmaes cma-es cmaessampler pbt anneal"),
    "model.init": ("glorot", "orthogonal zeros normal uniform lecun lecun_normal truncated_normal"),
}
"""By setting: what comes nearest to what others have and nothing here has, and those things."""

ON_TEXTS = [
    "lstm",
    "gru",
    "rnn",
    "bilstm",
    "transformer",
    "bert",
    "distilbert",
    "gpt",
    "gpt2",
    "fasttext",
    "textcnn",
    "roberta",
]
"""Networks for texts, of which there is one here."""

CATALOGUE = {
    **{
        name: name
        for name in [
            "cifar10",
            "cifar100",
            "fashion_mnist",
            "emnist",
            "kmnist",
            "iris",
            "stl10",
            "caltech101",
        ]
    },
    "fashionmnist": "fashion_mnist",
    "fashion": "fashion_mnist",
    "svhn": "svhn_cropped",
    "imagenet": "imagenet2012",
    "imdb": "imdb_reviews",
    "cifar": "cifar10",
    "cifar_10": "cifar10",
    "titanic": "titanic",
    "oxford_flowers102": "oxford_flowers102",
}
"""Well-known data sets by their names in the catalogue of TensorFlow Datasets."""
