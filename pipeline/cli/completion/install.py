"""`fulcrum --install-completion`: a script for bash, zsh or fish, where that shell finds it."""

import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import BadInput, BadSetting
from pipeline.files import write_content

BASH = r"""# completion of fulcrum for bash
_fulcrum() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\n' word head
    COMPREPLY=($(fulcrum --complete "$line" 2>/dev/null))
    word=${line##* }
    case $COMP_WORDBREAKS in *=*) head=${word%"${word##*=}"} ;; esac  # bash completes what follows the =
    COMPREPLY=("${COMPREPLY[@]#"$head"}")
    case ${COMPREPLY[0]} in *[=.]) compopt -o nospace 2>/dev/null ;; esac
}
complete -o default -F _fulcrum fulcrum
"""
ZSH = r"""# completion of fulcrum for zsh
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_fulcrum() {
    local -a found=("${(@f)$(fulcrum --complete "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then
        compadd -S '' -- ${(M)found:#*[=.]}
        compadd -- ${found:#*[=.]}
    else
        compset -P '*='
        _files
    fi
}
compdef _fulcrum fulcrum
"""
FISH = r"""# completion of fulcrum for fish
function __fulcrum_complete
    set -l found (fulcrum --complete (commandline -cp) 2>/dev/null)
    if string length -q -- $found
        printf '%s\n' $found
    else  # what follows the = may be a file
        set -l word (commandline -ct)
        set -l key (string replace -r '[^=]*$' '' -- $word)
        for path in (__fish_complete_path (string replace -r '^.*=' '' -- $word))
            echo $key$path
        end
    end
end
complete -c fulcrum -f -a '(__fulcrum_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def install_completion(words: Sequence[str]) -> str:
    """Write the script for a shell, by default the user's, and return what to tell.

    bash and zsh read it from a line in their start file, which is added once; fish finds it by itself.

    Raises:
        BadInput: the shell is another one, or a file cannot be written.
    """
    shell = words[0] if words else Path(os.environ.get("SHELL", "")).name
    if shell not in SCRIPTS or len(words) > 1:
        raise BadSetting(
            f"--install-completion must be followed by {', '.join(SCRIPTS)}, "
            f"got {' '.join(words) or shell or 'nothing'}; name one"
        )
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    script = data / "fulcrum" / f"completion.{shell}"
    if shell == "fish":
        script = config / "fish" / "completions" / "fulcrum.fish"
    try:
        write_content(script, SCRIPTS[shell])
        if shell != "fish":
            folder = Path(os.environ.get("ZDOTDIR") or home) if shell == "zsh" else home
            _add_line(folder / f".{shell}rc", f'source "{script}"')
    except OSError as error:
        raise BadInput(
            f"the completion must be written, got {error.filename}: {error.strerror}; make it writable"
        ) from None
    return f"{script} is written; open a new {shell} to use it"


def _add_line(path: Path, line: str) -> None:
    """Add a line to a start file, unless it has it."""
    text = path.read_text() if path.exists() else ""
    if line not in text.splitlines():
        with path.open("a") as file:
            file.write(f"{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n")
