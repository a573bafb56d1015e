"""What PyTorch, Keras, scikit-learn, Optuna, W&B and others call a setting, and what has no like here.

Names are compared without capitals and without signs between words: `batch_size`, `batchSize`, `batch-size`.
"""

KEY_ALIASES = {
    **dict.fromkeys(
        ("lr", "learningrate", "stepsize", "learningrateinit", "baselr", "eta", "eta0"),
        "optimizer.learning_rate",
    ),
    **dict.fromkeys(("lrate", "initiallr", "initlr", "maxlr", "peaklr", "lr0"), "optimizer.learning_rate"),
    **dict.fromkeys(
        ("wd", "decay", "l2", "alpha", "weightdecayrate", "l2reg", "regularization"), "optimizer.weight_decay"
    ),
    **dict.fromkeys(("bs", "batch", "batchsize", "trainbatchsize", "minibatchsize"), "train.batch_size"),
    **dict.fromkeys(("perdevicetrainbatchsize", "trainbs", "minibatch"), "train.batch_size"),
    **dict.fromkeys(
        ("epoch", "maxepochs", "numepochs", "nepochs", "nepoch", "maxiter", "niter", "numtrainepochs"),
        "train.epochs",
    ),
    **dict.fromkeys(("numiterations", "iterations", "nestimators", "numboostround"), "train.epochs"),
    **dict.fromkeys(
        ("earlystopping", "earlystop", "earlystoppingpatience", "niternochange", "espatience"),
        "train.patience",
    ),
    **dict.fromkeys(("earlystoppingrounds", "stopearly", "patienceepochs"), "train.patience"),
    **dict.fromkeys(("randomseed", "randomstate", "manualseed", "rngseed"), "train.seed"),
    **dict.fromkeys(
        ("resume", "resumefrom", "resumefromcheckpoint", "ckpt", "ckptpath", "checkpoint", "weights"),
        "train.from",
    ),
    **dict.fromkeys(("loadmodel", "initfrom", "warmstart"), "train.from"),
    **dict.fromkeys(
        ("width", "units", "neurons", "hiddensize", "hiddenunits", "nhidden", "hiddensizes", "dmodel"),
        "model.hidden",
    ),
    **dict.fromkeys(
        ("hiddenlayersizes", "hiddendim", "nunits", "hiddenlayersize", "dim", "numunits", "numneurons"),
        "model.hidden",
    ),
    **dict.fromkeys(("depth", "numlayers", "nlayers", "hiddenlayers", "numhiddenlayers"), "model.layers"),
    **dict.fromkeys(("dropoutrate", "dropoutprob", "pdrop", "dropoutp"), "model.dropout"),
    **dict.fromkeys(
        ("act", "activationfn", "nonlinearity", "activationfunction", "hiddenact"), "model.activation"
    ),
    **dict.fromkeys(("kernelinitializer", "initializer", "weightinit"), "model.init"),
    **dict.fromkeys(("channels", "nfilters", "numfilters"), "model.filters"),
    **dict.fromkeys(("beta1", "adambeta1"), "optimizer.beta1"),
    **dict.fromkeys(("beta2", "adambeta2"), "optimizer.beta2"),
    **dict.fromkeys(("eps", "adamepsilon"), "optimizer.epsilon"),
    **dict.fromkeys(("warmuprate", "warmupratio", "warmupproportion"), "schedule.warmup"),
    "labelsmoothing": "loss.label_smoothing",
    "labelsmoothingfactor": "loss.label_smoothing",
    "classweight": "loss.class_weights",
    **dict.fromkeys(("threads", "numthreads", "nthreads", "cpus"), "device.threads"),
    **dict.fromkeys(("gpus", "ngpus", "numgpus", "devices", "numdevices"), "device.count"),
    **dict.fromkeys(
        ("accelerator", "usegpu", "usecuda", "cuda", "gpu", "gpuid", "cpu", "nocuda", "nogpu"), "device"
    ),
    **dict.fromkeys(("nomps", "mps", "tpu", "usetpu", "usecpu", "cpuonly"), "device"),
    **dict.fromkeys(("dataset", "data", "datasetname", "task"), "data"),
    **dict.fromkeys(
        ("file", "csv", "datapath", "datadir", "trainfile", "traindata", "trainpath", "trainset", "dataroot"),
        "data.path",
    ),
    **dict.fromkeys(("traindir", "datafile", "inputfile"), "data.path"),
    **dict.fromkeys(("testfile", "testdata", "valfile"), "data.test_path"),
    **dict.fromkeys(
        ("target", "labelcolumn", "targetcolumn", "labelcol", "targetcol", "ycol", "labels"), "data.label"
    ),
    **dict.fromkeys(("subset", "limittrainbatches", "subsample", "trainfraction"), "data.fraction"),
    **dict.fromkeys(("testsize", "testsplit", "testratio", "testfraction"), "preprocess.test"),
    **dict.fromkeys(
        ("valsplit", "valsize", "validationsplit", "validationfraction", "valratio", "validationsize"),
        "preprocess.validation",
    ),
    **dict.fromkeys(("normalize", "rescale"), "preprocess.normalise"),
    **dict.fromkeys(("standardize", "scaler"), "preprocess.standardise"),
    **dict.fromkeys(("ntrials", "numtrials", "trials", "maxtrials", "runcap", "numsamples"), "search.trials"),
    **dict.fromkeys(("maxevals", "ncalls"), "search.trials"),
    **dict.fromkeys(("jobs", "njobs", "numworkers", "nworkers", "maxworkers", "nproc"), "search.workers"),
    **dict.fromkeys(("concurrency", "maxconcurrenttrials", "paralleltrials"), "search.workers"),
    **dict.fromkeys(
        ("objective", "metric", "monitor", "scoring", "evalmetric", "objectivemetric", "metricname"),
        "search.objective",
    ),
    **dict.fromkeys(("timeout", "maxtime", "timelimit", "timebudgets", "maxruntime"), "search.timeout"),
    **dict.fromkeys(("samplertype", "searchalg", "algo", "method", "sampler"), "search.sampler"),
    **dict.fromkeys(("studyname", "study", "sweepname"), "search.study"),
    "storage": "search.storage",
    "storageurl": "search.storage",
    **dict.fromkeys(("pruner", "earlyterminate", "hyperband", "asha"), "pruning"),
    **dict.fromkeys(
        ("scheduler", "lrscheduler", "lrschedule", "lrschedulertype", "sched", "lrpolicy"), "schedule"
    ),
    **dict.fromkeys(("optim", "opt", "optimiser", "solver"), "optimizer"),
    **dict.fromkeys(("criterion", "lossfn", "lossfunction", "costfunction"), "loss"),
    **dict.fromkeys(
        ("arch", "net", "network", "architecture", "backbone", "modelname", "modeltype"), "model"
    ),
    **dict.fromkeys(("runname", "name", "wandbname", "jobname"), "tracking.run_name"),
    **dict.fromkeys(("project", "experimentname", "wandbproject", "projectname"), "tracking.experiment"),
    **dict.fromkeys(("tag", "wandbtags"), "tracking.tags"),
    **dict.fromkeys(
        ("dtype", "mixedprecision", "policy", "floatx", "torchdtype", "tf32", "usefp16", "useamp"),
        "precision",
    ),
    **dict.fromkeys(("augmentation", "dataaugmentation", "augmentations", "transforms"), "augment"),
    **dict.fromkeys(("port", "uiport"), "ui.port"),
    "currency": "price.currency",
    "priceperhour": "price.per_hour",
}
"""The setting that is meant by a name."""

WHERE_ON = {
    "train.patience": "5",
    "precision": "mixed_float16",
    "device": "gpu",
    "augment": "shift",
    "pruning": "pause",
    "model.init": "he",
    "schedule": "cosine",
    "preprocess.standardise": "feature",
}
"""What `true`, or a flag without a value, means for a setting that is no switch."""

WHERE_OFF = {
    "train.patience": "0",
    "precision": "float32",
    "device": "cpu",
    "augment": "none",
    "pruning": "none",
    "model.init": "glorot",
    "schedule": "constant",
    "preprocess.standardise": "none",
}
"""What `false` means for the same."""

CPU_FLAGS = ("nocuda", "nogpu", "nomps", "cpu", "usecpu", "cpuonly")
"""Flags that ask for the CPU."""

_FORMULAS = "the frontier knows both accuracy and cost"
_GRADIENTS = "gradients are not clipped or added up over batches here"
_OUTPUT = "the record is where MLFLOW_TRACKING_URI says"
_SHOWN = "what is printed is always the same"
_LOADING = "data lie in memory or on the device, so nothing loads them meanwhile"
WITHOUT = {
    **dict.fromkeys(
        ("shuffle", "dropremainder", "droplast"), "samples are shuffled in each epoch, and all are used"
    ),
    **dict.fromkeys(("verbose", "verbosity", "quiet", "debug", "loginterval", "printfreq"), _SHOWN),
    **dict.fromkeys(("logevery", "loggingsteps", "progressbar", "enableprogressbar", "loglevel"), _SHOWN),
    **dict.fromkeys(("v", "vv", "q"), _SHOWN),
    **dict.fromkeys(
        ("metrics", "metricsnames"), "accuracy, its interval and scores by class are always measured"
    ),
    **dict.fromkeys(
        ("clipnorm", "clipvalue", "gradclip", "gradientclipval", "maxgradnorm", "clipgrad"), _GRADIENTS
    ),
    **dict.fromkeys(
        ("gradientclip", "globalclipnorm", "accumulategradbatches", "gradientaccumulationsteps"), _GRADIENTS
    ),
    **dict.fromkeys(
        ("outputdir", "logdir", "savedir", "outdir", "resultsdir", "workdir", "tensorboard"), _OUTPUT
    ),
    **dict.fromkeys(
        ("wandb", "usewandb", "reportto", "logger", "mlflow", "trackinguri", "savemodel", "output"), _OUTPUT
    ),
    **dict.fromkeys(("pinmemory", "prefetch", "prefetchfactor", "persistentworkers", "cache"), _LOADING),
    **dict.fromkeys(("direction", "directions", "goal", "mode"), _FORMULAS),
    **dict.fromkeys(("multirun", "m", "sweep"), "the command sweep tries several values"),
    **dict.fromkeys(
        ("dryrun", "fastdevrun", "smoketest"), "--cfg job shows the settings, experiment=smoke is a quick run"
    ),
    "callbacks": "to stop early there is train.patience=5",
    **dict.fromkeys(
        ("stepsperepoch", "maxsteps", "numtrainsteps", "totalsteps", "validationsteps"),
        "an epoch is all training rows, train.epochs=10 counts them",
    ),
    **dict.fromkeys(
        ("distributed", "strategy", "localrank", "worldsize", "backend", "ddp"),
        "device=gpu device.count=2 uses several GPUs",
    ),
    **dict.fromkeys(
        ("deterministic", "benchmark", "cudnnbenchmark"),
        "the same seed gives the same curve on the same device",
    ),
    **dict.fromkeys(
        ("compile", "torchcompile", "runeagerly", "jit", "jitcompile"),
        "steps are compiled; engine=xla or engine=graph chooses how",
    ),
    **dict.fromkeys(
        ("config", "configdir", "configfile", "configname", "cfgfile", "configpath"),
        "a file of settings is conf/experiment/NAME.yaml, typed as experiment=NAME",
    ),
    **dict.fromkeys(("gamma", "lrgamma", "decayrate", "decaysteps"), "schedule=cosine lowers the rate"),
    **dict.fromkeys(
        ("warmup", "warmupsteps", "warmupepochs", "numwarmupsteps"), "schedule=warmup_linear begins slowly"
    ),
    **dict.fromkeys(("tol", "mindelta", "mindelta"), "train.patience=5 counts any better epoch"),
    **dict.fromkeys(("skipifexists", "loadifexists"), "a study of that name is always gone on with"),
    **dict.fromkeys(("evalbatchsize", "testbatchsize", "valbatchsize"), "it has no effect on a result"),
    "perdeviceevalbatchsize": "it has no effect on a result",
}
"""Names that have no setting here, and why none is needed, or what is near."""

SHORT_FLAGS = {
    "b": "batch_size",
    "e": "epochs",
    "j": "n_jobs",
    "l": "lr",
    "n": "n_trials",
    "s": "seed",
    "d": "dataset",
    "o": "optimizer",
    "a": "arch",
    "g": "gpus",
    "p": "patience",
    "t": "timeout",
    "w": "n_jobs",
}
"""Flags of one letter, as scripts of training usually have them."""
