# A POS terminal says who it is by a TERM that begins with T.
case ${TERM-} in
T*)
	BBTERM=$TERM
	TERM=xterm
	export BBTERM TERM
	;;
esac
