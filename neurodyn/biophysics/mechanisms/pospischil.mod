: The cell neurodyn.biophysics.Pospischil as a mechanism of NEURON.
NEURON {
    SUFFIX pospischil
    NONSPECIFIC_CURRENT i
    RANGE gNa, gK, gM, gL, gh, EL, VT, taumax
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER {
    gNa = .065 (S/cm2) gK = .023 (S/cm2) gM = 4e-5 (S/cm2) gL = 1.05e-4 (S/cm2) gh = 2e-5 (S/cm2)
    EL = -72.5 (mV) VT = -59.75 (mV) taumax = 500 (ms)
}
ASSIGNED { v (mV) i (mA/cm2) }
STATE { m h n p q }
BREAKPOINT {
    SOLVE states METHOD cnexp
    i = gNa*m*m*m*h*(v-50) + (gK*n*n*n*n + gM*p)*(v+90) + gh*q*(v+45) + gL*(v-EL)
}
INITIAL {
    m = am(v)/(am(v)+bm(v)) h = ah(v)/(ah(v)+bh(v)) n = an(v)/(an(v)+bn(v))
    p = 1/(1+exp(-.1*(v+35))) q = aq(v)/(aq(v)+bq(v))
}
DERIVATIVE states {
    m' = am(v)*(1-m) - bm(v)*m
    h' = ah(v)*(1-h) - bh(v)*h
    n' = an(v)*(1-n) - bn(v)*n
    p' = (1/(1+exp(-.1*(v+35))) - p)*(3.3*exp(.05*(v+35))+exp(-.05*(v+35)))/taumax
    q' = aq(v)*(1-q) - bq(v)*q
}
FUNCTION linoid(x) { if (fabs(x) < 1e-4) { linoid = 1 - x/2 } else { linoid = x/(exp(x)-1) } }
FUNCTION am(v (mV)) { am = .32*4*linoid(-(v-VT-13)/4) }
FUNCTION bm(v (mV)) { bm = .28*5*linoid((v-VT-40)/5) }
FUNCTION ah(v (mV)) { ah = .128*exp(-(v-VT-17)/18) }
FUNCTION bh(v (mV)) { bh = 4/(1+exp(-(v-VT-40)/5)) }
FUNCTION an(v (mV)) { an = .032*5*linoid(-(v-VT-15)/5) }
FUNCTION bn(v (mV)) { bn = .5*exp(-(v-VT-10)/40) }
FUNCTION aq(v (mV)) { aq = .00643*11.9*linoid((v+154.9)/11.9) }
FUNCTION bq(v (mV)) { bq = .193*exp(v/33.1) }
