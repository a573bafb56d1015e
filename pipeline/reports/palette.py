"""The colours of all pictures, as hex."""

INK, GREY, PALE, LINE = "#222222", "#6b6b6b", "#b8b8b8", "#d9d9d9"
# Blue, sky blue, vermillion and green of Okabe and Ito, distinct with any colour vision.
BLUE, SKY, ORANGE, GREEN = "#0072B2", "#8cc8ea", "#D55E00", "#009E73"
