story    two-routes
title    Two roads to a doctor, and not enough for both
shows    The same people and the same scarce money in two funds that differ in one word: weights=equal gives every claimant the same step,
shows    weights=claim the same part of the claim. One of them has means and carries an own contribution.
starts   2022-07-04T00:00Z
fund     routes-equal currency=CNY share=CNY100 weights=equal vouchers_required=1
fund     routes-claim currency=CNY share=CNY100 weights=claim vouchers_required=1
expect   routes-equal asked=CNY18,000 promised=CNY6,000 placed=CNY6,000 settled=CNY6,000 delivered=CNY6,000 released=CNY0 waiting=CNY0 notices=91
expect   routes-claim asked=CNY18,000 promised=CNY6,000 placed=CNY6,000 settled=CNY6,000 delivered=CNY6,000 released=CNY0 waiting=CNY0 notices=84

when       | door  | fund         | event            | what
> Two ways lead to a doctor: charity hospitals, relatively cheap, and well-known hospitals in the big cities, dear.
> Three people, equally urgent. One goes the cheap way (CNY 3,000), one the dear one (CNY 12,000); the third goes the dear way
> too, has means, and pays CNY 9,000 of it: what is left for others to give, the claim, is CNY 3,000.
+0d 00:05  | http  | routes-equal | case.submitted   | case=e-cheap beneficiary=person-k need=surgery route=charity-hospital goal=CNY3,000 priority=urgent access=CN-LN/unregistered
+0d 00:05  | http  | routes-equal | case.submitted   | case=e-dear beneficiary=person-l need=surgery route=general-hospital goal=CNY12,000 priority=urgent access=CN-LN/unregistered
+0d 00:05  | http  | routes-equal | case.submitted   | case=e-means beneficiary=person-m need=surgery route=general-hospital goal=CNY12,000 own_contribution=CNY9,000 priority=urgent access=CN-LN/temporary-residence
+0d 00:06  | http  | routes-claim | case.submitted   | case=c-cheap beneficiary=person-k need=surgery route=charity-hospital goal=CNY3,000 priority=urgent access=CN-LN/unregistered
+0d 00:06  | http  | routes-claim | case.submitted   | case=c-dear beneficiary=person-l need=surgery route=general-hospital goal=CNY12,000 priority=urgent access=CN-LN/unregistered
+0d 00:06  | http  | routes-claim | case.submitted   | case=c-means beneficiary=person-m need=surgery route=general-hospital goal=CNY12,000 own_contribution=CNY9,000 priority=urgent access=CN-LN/temporary-residence
+0d 00:30  | http  | routes-equal | case.vouched     | case=e-cheap voucher=go-between-3
+0d 00:30  | http  | routes-equal | case.vouched     | case=e-dear voucher=go-between-3
+0d 00:30  | http  | routes-equal | case.vouched     | case=e-means voucher=go-between-3
+0d 00:31  | http  | routes-claim | case.vouched     | case=c-cheap voucher=go-between-3
+0d 00:31  | http  | routes-claim | case.vouched     | case=c-dear voucher=go-between-3
+0d 00:31  | http  | routes-claim | case.vouched     | case=c-means voucher=go-between-3
> CNY 6,000 come in, a third of what is asked, in twelve pledges; each is made in both funds.
+0d 03:35  | http  | routes-equal | pledge.made      | pledge=e-01 donor=giver-01 amount=CNY300
+0d 03:35  | http  | routes-claim | pledge.made      | pledge=c-01 donor=giver-01 amount=CNY300
+0d 05:10  | http  | routes-equal | pledge.made      | pledge=e-02 donor=giver-02 amount=CNY500
+0d 05:10  | http  | routes-claim | pledge.made      | pledge=c-02 donor=giver-02 amount=CNY500
+0d 06:45  | http  | routes-equal | pledge.made      | pledge=e-03 donor=giver-03 amount=CNY200
+0d 06:45  | http  | routes-claim | pledge.made      | pledge=c-03 donor=giver-03 amount=CNY200
+0d 08:20  | http  | routes-equal | pledge.made      | pledge=e-04 donor=giver-04 amount=CNY1,000
+0d 08:20  | http  | routes-claim | pledge.made      | pledge=c-04 donor=giver-04 amount=CNY1,000
+0d 09:55  | http  | routes-equal | pledge.made      | pledge=e-05 donor=giver-05 amount=CNY400
+0d 09:55  | http  | routes-claim | pledge.made      | pledge=c-05 donor=giver-05 amount=CNY400
+0d 11:30  | http  | routes-equal | pledge.made      | pledge=e-06 donor=giver-06 amount=CNY600
+0d 11:30  | http  | routes-claim | pledge.made      | pledge=c-06 donor=giver-06 amount=CNY600
+0d 13:05  | http  | routes-equal | pledge.made      | pledge=e-07 donor=giver-07 amount=CNY700
+0d 13:05  | http  | routes-claim | pledge.made      | pledge=c-07 donor=giver-07 amount=CNY700
+0d 14:40  | http  | routes-equal | pledge.made      | pledge=e-08 donor=giver-08 amount=CNY300
+0d 14:40  | http  | routes-claim | pledge.made      | pledge=c-08 donor=giver-08 amount=CNY300
+0d 16:15  | http  | routes-equal | pledge.made      | pledge=e-09 donor=giver-09 amount=CNY800
+0d 16:15  | http  | routes-claim | pledge.made      | pledge=c-09 donor=giver-09 amount=CNY800
+0d 17:50  | http  | routes-equal | pledge.made      | pledge=e-10 donor=giver-10 amount=CNY500
+0d 17:50  | http  | routes-claim | pledge.made      | pledge=c-10 donor=giver-10 amount=CNY500
+0d 19:25  | http  | routes-equal | pledge.made      | pledge=e-11 donor=giver-11 amount=CNY400
+0d 19:25  | http  | routes-claim | pledge.made      | pledge=c-11 donor=giver-11 amount=CNY400
+0d 21:00  | http  | routes-equal | pledge.made      | pledge=e-12 donor=giver-12 amount=CNY300
+0d 21:00  | http  | routes-claim | pledge.made      | pledge=c-12 donor=giver-12 amount=CNY300
> All of it is paid and handed over; the rest of the claims stays open, and everyone can see why.
+2d 00:20  | http  | routes-equal | payment.received | pledge=e-01 payment=e-pay-01 amount=CNY300
+2d 00:20  | http  | routes-claim | payment.received | pledge=c-01 payment=c-pay-01 amount=CNY300
+2d 00:40  | http  | routes-equal | payment.received | pledge=e-02 payment=e-pay-02 amount=CNY500
+2d 00:40  | http  | routes-claim | payment.received | pledge=c-02 payment=c-pay-02 amount=CNY500
+2d 01:00  | http  | routes-equal | payment.received | pledge=e-03 payment=e-pay-03 amount=CNY200
+2d 01:00  | http  | routes-claim | payment.received | pledge=c-03 payment=c-pay-03 amount=CNY200
+2d 01:20  | http  | routes-equal | payment.received | pledge=e-04 payment=e-pay-04 amount=CNY1,000
+2d 01:20  | http  | routes-claim | payment.received | pledge=c-04 payment=c-pay-04 amount=CNY1,000
+2d 01:40  | http  | routes-equal | payment.received | pledge=e-05 payment=e-pay-05 amount=CNY400
+2d 01:40  | http  | routes-claim | payment.received | pledge=c-05 payment=c-pay-05 amount=CNY400
+2d 02:00  | topic | routes-equal | payment.received | pledge=e-06 payment=e-pay-06 amount=CNY600
+2d 02:00  | topic | routes-claim | payment.received | pledge=c-06 payment=c-pay-06 amount=CNY600
+2d 02:20  | http  | routes-equal | payment.received | pledge=e-07 payment=e-pay-07 amount=CNY700
+2d 02:20  | http  | routes-claim | payment.received | pledge=c-07 payment=c-pay-07 amount=CNY700
+2d 02:40  | http  | routes-equal | payment.received | pledge=e-08 payment=e-pay-08 amount=CNY300
+2d 02:40  | http  | routes-claim | payment.received | pledge=c-08 payment=c-pay-08 amount=CNY300
+2d 03:00  | http  | routes-equal | payment.received | pledge=e-09 payment=e-pay-09 amount=CNY800
+2d 03:00  | http  | routes-claim | payment.received | pledge=c-09 payment=c-pay-09 amount=CNY800
+2d 03:20  | http  | routes-equal | payment.received | pledge=e-10 payment=e-pay-10 amount=CNY500
+2d 03:20  | http  | routes-claim | payment.received | pledge=c-10 payment=c-pay-10 amount=CNY500
+2d 03:40  | http  | routes-equal | payment.received | pledge=e-11 payment=e-pay-11 amount=CNY400
+2d 03:40  | http  | routes-claim | payment.received | pledge=c-11 payment=c-pay-11 amount=CNY400
+2d 04:00  | http  | routes-equal | payment.received | pledge=e-12 payment=e-pay-12 amount=CNY300
+2d 04:00  | http  | routes-claim | payment.received | pledge=c-12 payment=c-pay-12 amount=CNY300
+5d 00:00  | http  | routes-equal | case.delivered   | case=e-cheap delivery=e-cheap-1 amount=CNY2,000
+5d 00:00  | http  | routes-equal | case.delivered   | case=e-dear delivery=e-dear-1 amount=CNY2,000
+5d 00:00  | http  | routes-equal | case.delivered   | case=e-means delivery=e-means-1 amount=CNY2,000
+5d 00:00  | http  | routes-claim | case.delivered   | case=c-cheap delivery=c-cheap-1 amount=CNY1,000
+5d 00:00  | http  | routes-claim | case.delivered   | case=c-dear delivery=c-dear-1 amount=CNY4,000
+5d 00:00  | http  | routes-claim | case.delivered   | case=c-means delivery=c-means-1 amount=CNY1,000
